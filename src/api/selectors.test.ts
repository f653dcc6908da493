import { describe, expect, test } from 'vitest';
import { recordedAnswer } from '../../test/recorded-answers.ts';
import { CONFIGMAPS, EVENTS, NODES, PODS } from './resources.ts';
import {
  labelRequirements,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selectors.ts';
import type { ApiStatusError } from './status-error.ts';

const selected = (selector: string, labels: Record<string, string>) =>
  matchesLabels(parseLabelSelector(selector), labels);

function statusOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return (error as ApiStatusError).toStatus();
  }
  return undefined;
}

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', n: '5' };
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app=web,tier=front', true],
    ['app=web, tier != back', true],
    ['app=db', false],
    ['app!=db', true],
    ['none!=x', true],
    ['none=', false],
    ['app', true],
    ['none', false],
    ['!none', true],
    ['!app', false],
    ['app in (db, web)', true],
    ['app in (db)', false],
    ['app notin (db)', true],
    ['none notin (db)', true],
    ['app notin (web,db)', false],
    ['n>4', true],
    ['n>5', false],
    ['n<6', true],
    ['app>1', false],
    ['in in (a),app', false],
  ])('%j: %j', (selector, expected) => {
    expect(selected(selector, labels)).toBe(expected);
  });

  test('an empty place in a list is the empty value', () => {
    expect(parseLabelSelector('a in (,x)')).toEqual([{ key: 'a', operator: 'in', values: ['', 'x'] }]);
  });

  test('inherited properties are no labels', () => {
    expect(selected('constructor', {})).toBe(false);
  });

  test.each([
    ['a===b', "unable to parse requirement: found '=', expected: identifier"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['a,', "found '', expected: identifier after ','"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in x', "unable to parse requirement: found 'x' expected: '('"],
    ['a in (x', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    [
      'a=b_',
      "unable to parse requirement: values[0][a]: Invalid value: \"b_\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ],
    [
      'a>x',
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ])('%j is refused', (selector, message) => {
    expect(() => parseLabelSelector(selector)).toThrow(message);
  });

  test('the recorded bad one', () => {
    expect(statusOf(() => parseLabelSelector('a===b'))).toEqual(recordedAnswer('list selector bad').answer);
  });

  test('the recorded set is read', () => {
    expect(parseLabelSelector('a in (x,y),!z')).toEqual([
      { key: 'a', operator: 'in', values: ['x', 'y'] },
      { key: 'z', operator: '!', values: [] },
    ]);
  });
});

describe('LabelSelector objects', () => {
  test('none selects nothing, an empty one everything', () => {
    expect(labelRequirements(undefined)).toBeUndefined();
    expect(labelRequirements({})).toEqual([]);
  });

  test('labels and expressions must all hold', () => {
    const requirements = labelRequirements({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front'] },
        { key: 'x', operator: 'DoesNotExist' },
      ],
    })!;
    expect(matchesLabels(requirements, { app: 'web', tier: 'front' })).toBe(true);
    expect(matchesLabels(requirements, { app: 'web', tier: 'front', x: '' })).toBe(false);
    expect(matchesLabels(requirements, { app: 'web' })).toBe(false);
  });

  test('an unknown operator', () => {
    expect(() => labelRequirements({ matchExpressions: [{ key: 'a', operator: 'Like' }] })).toThrow(
      '"Like" is not a valid label selector operator',
    );
  });
});

describe('field selectors', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'n' },
    spec: { nodeName: 'node' },
    status: { phase: 'Running', podIPs: [{ ip: '1.1.1.1' }, { ip: '::1' }] },
  };
  test.each([
    ['metadata.name=p', true],
    ['metadata.name==p,metadata.namespace=n', true],
    ['metadata.name!=p', false],
    ['status.phase=Running', true],
    ['status.phase!=Running', false],
    ['spec.nodeName=', false],
    ['spec.host=node', true],
    ['spec.schedulerName=', true],
    ['spec.hostNetwork=false', true],
    ['status.podIPs=1.1.1.1\\,::1', true],
    ['', true],
  ])('%j: %j', (selector, expected) => {
    expect(matchesFields(parseFieldSelector(PODS, selector), pod)).toBe(expected);
  });

  test('an event by its source', () => {
    const event = { metadata: { name: 'e' }, involvedObject: { name: 'p' }, source: { component: 'kubelet' } };
    expect(matchesFields(parseFieldSelector(EVENTS, 'source=kubelet,involvedObject.name=p'), event)).toBe(true);
    expect(matchesFields(parseFieldSelector(NODES, 'spec.unschedulable=false'), { metadata: {} })).toBe(true);
    const eventsV1 = { ...EVENTS, group: 'events.k8s.io' };
    expect(matchesFields(parseFieldSelector(eventsV1, 'regarding.name=p,metadata.name!=x'), event)).toBe(true);
    expect(matchesFields(parseFieldSelector(eventsV1, 'reportingController=c'), event)).toBe(false);
    for (const field of ['involvedObject.name', 'source', 'reportingComponent']) {
      expect(() => parseFieldSelector(eventsV1, `${field}=p`)).toThrow(`field label not supported: ${field}`);
    }
  });

  test('the recorded unsupported one', () => {
    expect(statusOf(() => parseFieldSelector(CONFIGMAPS, 'data.a=1'))).toEqual(
      recordedAnswer('field selector unsupported').answer,
    );
  });

  test('pods have words of their own', () => {
    expect(() => parseFieldSelector(PODS, 'spec.foo=1')).toThrow('field label not supported: spec.foo');
    expect(() => parseFieldSelector(PODS, 'spec.foo')).toThrow(
      "invalid selector: 'spec.foo'; can't understand 'spec.foo'",
    );
  });
});
