import type { Event, EventsV1Event } from '../../api/generated/types.ts';
import type { KubeObject } from '../../api/resources.ts';

/** A stored (core/v1) event as events.k8s.io/v1 shows it. Source: pkg/apis/events/v1/conversion.go */
export function toEventsV1(stored: KubeObject): KubeObject {
  const {
    kind,
    message,
    involvedObject,
    source,
    firstTimestamp,
    lastTimestamp,
    count,
    reportingComponent: reportingController,
    ...same
  } = stored as Event;
  const event: EventsV1Event = {
    ...(same as Omit<EventsV1Event, 'eventTime'>),
    kind,
    apiVersion: 'events.k8s.io/v1',
    note: message,
    regarding: involvedObject,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
    reportingController,
    eventTime: same.eventTime as string,
  };
  return withoutUndefined(event);
}

/** The way back. */
export function fromEventsV1(shown: KubeObject): KubeObject {
  const {
    kind,
    note,
    regarding,
    deprecatedSource,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedCount,
    reportingController: reportingComponent,
    ...same
  } = shown as EventsV1Event;
  const event: Event = {
    ...(same as Omit<Event, 'involvedObject'>),
    kind,
    apiVersion: 'v1',
    message: note,
    involvedObject: regarding ?? {},
    source: deprecatedSource,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount,
    reportingComponent,
  };
  return withoutUndefined(event);
}

function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}
