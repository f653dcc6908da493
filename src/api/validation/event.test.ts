import { describe, expect, test } from 'vitest';
import type { Event } from '../generated/types.ts';
import { EVENTS, type Resource } from '../resources.ts';
import { formatFieldError } from './field-error.ts';
import { validate, validateUpdate } from './validate.ts';

const EVENTS_V1 = { ...EVENTS, group: 'events.k8s.io' } as Resource;
const event = (more: Partial<Event> = {}): Event => ({
  metadata: { name: 'e', namespace: 'n' },
  involvedObject: { namespace: 'n' },
  eventTime: '2026-01-01T00:00:00.000000Z',
  reportingComponent: 'x.io/c',
  reportingInstance: 'i',
  action: 'a',
  reason: 'r',
  type: 'Normal',
  ...more,
});
const created = (resource: Resource, object: Event) => validate(resource, object).map(formatFieldError);
const changed = (more: Partial<Event>) => validateUpdate(EVENTS_V1, event(more), event()).map(formatFieldError);
const QUALIFIED = expect.stringMatching(/^reporting\w+: Invalid value: "": name part /);

test('through the core group an event may have any name that fits into a path', () => {
  const named = (name: string) => event({ metadata: { name, namespace: 'n' } });
  expect(created(EVENTS, named('Upper_Case'))).toEqual([]);
  expect(created(EVENTS, named('a/b%'))).toEqual([
    `metadata.name: Invalid value: "a/b%": may not contain '/'`,
    `metadata.name: Invalid value: "a/b%": may not contain '%'`,
  ]);
  expect(created(EVENTS, named('..'))).toEqual([`metadata.name: Invalid value: "..": may not be '..'`]);
  expect(created(EVENTS_V1, named('Upper_Case'))).toHaveLength(1);
});

describe('events.k8s.io/v1', () => {
  test.each<[Partial<Event>, unknown[]]>([
    [{}, []],
    [{ metadata: { name: 'e', namespace: 'kube-system' }, involvedObject: {} }, []],
    [{ involvedObject: {} }, ['involvedObject.namespace: Invalid value: "": does not match event.namespace']],
    [{ eventTime: undefined as never }, ['eventTime: Required value']],
    [{ type: 'Bad' }, ['type: Invalid value: "": has invalid value: Bad']],
    [
      { reportingComponent: '', reportingInstance: '', action: '', reason: '' },
      [
        'reportingController: Required value',
        QUALIFIED,
        QUALIFIED,
        'reportingInstance: Required value',
        'action: Required value',
        'reason: Required value',
      ],
    ],
    [{ message: 'm'.repeat(1025) }, ['message: Invalid value: "": can have at most 1024 characters']],
    [
      { firstTimestamp: 't', lastTimestamp: 't', count: 1, source: { host: 'h' } },
      ['firstTimestamp', 'lastTimestamp', 'count', 'source'].map((f) => `${f}: Invalid value: "": needs to be unset`),
    ],
    [
      { series: { count: 1 } },
      ['series.count: Invalid value: "": should be at least 2', 'series.lastObservedTime: Required value'],
    ],
  ])('%j', (more, errors) => {
    expect(created(EVENTS_V1, event(more))).toEqual(errors);
  });

  test('a change: the series goes on, all else stays', () => {
    expect(changed({ series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' } })).toEqual([]);
    expect(changed({ source: {}, related: { name: '' } })).toEqual([]);
    expect(changed({ reason: 's', series: { count: 1, lastObservedTime: 't' } })).toEqual([
      'series.count: Invalid value: "": should be at least 2',
      'reason: Invalid value: "s": field is immutable',
    ]);
  });
});

test('the core group asks for less, and names the reporter otherwise', () => {
  const old = event({ eventTime: undefined as never, type: 'Bad', count: 3, reportingComponent: '' });
  expect(created(EVENTS, old)).toEqual([]);
  expect(created(EVENTS, event({ reportingComponent: '' }))).toEqual([
    'reportingComponent: Required value',
    QUALIFIED,
    QUALIFIED,
  ]);
});
