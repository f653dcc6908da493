import { isDeepStrictEqual } from 'node:util';
import type { Event } from '../generated/types.ts';
import { isDNS1123Subdomain, isQualifiedName } from '../name-rules.ts';
import { type FieldError, invalid, required } from './field-error.ts';
import {
  FIELD_IS_IMMUTABLE,
  nameIsPathSegment,
  nameIsSubdomain,
  pushInvalid,
  validateObjectMeta,
} from './object-meta.ts';

/** What an update through events.k8s.io may not change, by the names of the stored form. */
const IMMUTABLE = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
] as const;

/** An event that came through the core group. Source of all rules here: pkg/apis/core/validation/events.go */
export function validateEvent(event: Event, errors: FieldError[]): void {
  validateObjectMeta(event.metadata, true, nameIsPathSegment, 'metadata', errors);
  validateAlways(event, 'reportingComponent', errors);
}

/** A new event that came through events.k8s.io/v1, in the form in which it is stored. */
export function validateEventV1(event: Event, errors: FieldError[]): void {
  validateAlways(event, 'reportingController', errors);
  validateObjectMeta(event.metadata, true, nameIsSubdomain, 'metadata', errors);
  validateSeries(event, errors);
  if (event.eventTime === undefined) errors.push(required('eventTime'));
  const { type = '' } = event;
  if (type !== 'Normal' && type !== 'Warning') errors.push(invalid('type', '', `has invalid value: ${type}`));
  for (const [field, isSet] of [
    ['firstTimestamp', event.firstTimestamp !== undefined],
    ['lastTimestamp', event.lastTimestamp !== undefined],
    ['count', Boolean(event.count)],
    ['source', Boolean(event.source?.component || event.source?.host)],
  ] as const) {
    if (isSet) errors.push(invalid(field, '', 'needs to be unset'));
  }
}

/** A change of an event through events.k8s.io/v1: its series may go on. */
export function validateEventV1Change(event: Event, old: Event, errors: FieldError[]): void {
  validateAlways(event, 'reportingController', errors);
  if (!isDeepStrictEqual(event.series, old.series)) validateSeries(event, errors);
  for (const field of IMMUTABLE) {
    if (isDeepStrictEqual(meantBy(event[field]), meantBy(old[field]))) continue;
    const name = field === 'reportingComponent' ? 'reportingController' : field;
    errors.push(invalid(name, event[field], FIELD_IS_IMMUTABLE));
  }
}

/** Clients in Go write empty structs and texts where there is nothing. */
function meantBy(value: unknown): unknown {
  if (value === '' || value === 0) return undefined;
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => meantBy(member) !== undefined);
  return members.length > 0 ? Object.fromEntries(members) : undefined;
}

function validateSeries({ series }: Event, errors: FieldError[]): void {
  if (!series) return;
  if ((series.count ?? 0) < 2) errors.push(invalid('series.count', '', 'should be at least 2'));
  if (series.lastObservedTime === undefined) errors.push(required('series.lastObservedTime'));
}

/** @param reporterField as this version of the API names it */
function validateAlways(event: Event, reporterField: string, errors: FieldError[]): void {
  const { namespace = '' } = event.metadata;
  const concerned = event.involvedObject?.namespace ?? '';
  const isNew = event.eventTime !== undefined;
  // Events on objects without a namespace lie in `default`, newer ones in `kube-system` as well.
  const isHome = namespace === 'default' || (isNew && namespace === 'kube-system');
  if (concerned === '' ? !isHome : !isNew && namespace !== concerned) {
    errors.push(invalid('involvedObject.namespace', concerned, 'does not match event.namespace'));
  }
  // Only events of the new style carry a time of their own and must say who reports them.
  if (isNew) {
    const reporter = event.reportingComponent ?? '';
    if (reporter === '') errors.push(required(reporterField));
    pushInvalid(errors, reporterField, reporter, isQualifiedName(reporter));
    for (const [field, value = '', max] of [
      ['reportingInstance', event.reportingInstance, 128],
      ['action', event.action, 128],
      ['reason', event.reason, 128],
      ['message', event.message, 1024],
    ] as const) {
      if (value === '' && field !== 'message') errors.push(required(field));
      if (Buffer.byteLength(value) > max) errors.push(invalid(field, '', `can have at most ${max} characters`));
    }
  }
  pushInvalid(errors, 'namespace', namespace, isDNS1123Subdomain(namespace));
}
