import { describe, expect, test } from 'vitest';
import { recordedAnswer, recordedAnswers, resourceOfPath } from '../../test/recorded-answers.ts';
import { decodeJson, decodeObject, decodePatched, decodeType, type FieldValidation } from './decode.ts';
import type { Pod } from './generated/types.ts';
import { CONFIGMAPS, LEASES, NODES, PODS, SECRETS } from './resources.ts';
import { ApiStatusError } from './status-error.ts';
import { parseYaml } from './yaml-text.ts';

describe('recorded refusals', () => {
  const names = [
    'wrong kind',
    'malformed json',
    'unknown field strict',
    'duplicate field strict',
    'wrong type',
    'secret bad base64',
    'pod: not-object',
    'pod: type-string',
    'pod: wrong-kind',
  ];
  test.each(names)('%s', (name) => {
    const { path, body, code, answer } = recordedAnswer(name);
    // The list was sent with a space in it, which its hexadecimal copy in the answer shows.
    const text = typeof body === 'string' ? body : JSON.stringify(body).replace('[1,2]', '[1, 2]');
    const fieldValidation = /fieldValidation=(\w+)/.exec(path)?.[1] as FieldValidation | undefined;
    let thrown: unknown;
    try {
      decodeJson(resourceOfPath(path)!, text, { fieldValidation });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ApiStatusError);
    const status = (thrown as ApiStatusError).toStatus();
    expect({ code: status.code, reason: status.reason, message: status.message }).toEqual({
      code,
      reason: answer.reason,
      message: answer.message,
    });
    if (answer.kind) expect(status).toEqual(answer);
  });

  test('yaml body', () => {
    const { body, answer } = recordedAnswer('yaml body');
    expect(() => decodeObject(CONFIGMAPS, parseYaml(body))).toThrow(answer.message);
  });
});

test('recorded objects come through as they are', () => {
  const objects = recordedAnswers().filter(
    ({ answer, code }) => code < 300 && answer?.kind && answer.kind !== 'Status',
  );
  let decoded = 0;
  for (const { path, answer } of objects) {
    const resource = resourceOfPath(path);
    if (!resource || resource.kind !== answer.kind) continue;
    const result = decodeObject(resource, answer, { fieldValidation: 'Strict' });
    // Conditions carry an explicit null there.
    expect(result.object).toEqual(
      JSON.parse(JSON.stringify(answer, (_key, value) => (value === null ? undefined : value))),
    );
    decoded++;
  }
  expect(decoded).toBeGreaterThan(20);
});

describe('unknown and duplicate fields', () => {
  const text =
    '{"metadata":{"name":"p","nmae":"q"},"spec":{"containers":[{"name":"a"},{"name":"c","imag":"x"}]},"extra":1}';
  test('are dropped, and reported by path', () => {
    const { object, warnings } = decodeJson(PODS, text);
    expect(warnings).toEqual([
      'unknown field "metadata.nmae"',
      'unknown field "spec.containers[1].imag"',
      'unknown field "extra"',
    ]);
    expect(object).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a' }, { name: 'c' }] },
    });
  });

  test('pass in silence when ignored', () => {
    expect(decodeJson(PODS, text, { fieldValidation: 'Ignore' }).warnings).toEqual([]);
  });

  test('are all in a strict refusal', () => {
    expect(() => decodeJson(CONFIGMAPS, '{"data":{"a":"1","a":"2"},"dta":{}}', { fieldValidation: 'Strict' })).toThrow(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta", duplicate field "data.a"',
    );
  });
});

describe('wrong types', () => {
  const pod = (spec: object) => ({ metadata: { name: 'p' }, spec });
  const prefix = 'Pod in version "v1" cannot be handled as a Pod: ';
  const container = (fields: object) => pod({ containers: [{ name: 'c', ...fields }] });
  test.each([
    [
      pod({ containers: {} }),
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      pod({ containers: ['x'] }),
      'json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container',
    ],
    [{ spec: 'x' }, 'json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec'],
    [
      { metadata: { labels: [] } },
      'json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string',
    ],
    [
      { metadata: { labels: { a: true } } },
      'json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      container({ command: 'x' }),
      'json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string',
    ],
    [
      container({ tty: 'yes' }),
      'json: cannot unmarshal string into Go struct field Container.spec.containers.tty of type bool',
    ],
    [
      container({ imagePullPolicy: 1 }),
      'json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy',
    ],
    [
      container({ livenessProbe: { periodSeconds: 1.5 } }),
      'json: cannot unmarshal number 1.5 into Go struct field Probe.spec.containers.livenessProbe.periodSeconds of type int32',
    ],
    [
      container({ ports: [{ containerPort: 2 ** 31 }] }),
      'json: cannot unmarshal number 2147483648 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
    ],
    [
      container({ livenessProbe: { httpGet: { port: true } } }),
      'json: cannot unmarshal bool into Go value of type int32',
    ],
    [
      container({ resources: { limits: { cpu: 'many' } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      container({ resources: { limits: { memory: '1Gb' } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      { metadata: { creationTimestamp: 'today' } },
      'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
    ],
  ])('%j', (value, message) => {
    expect(() => decodeObject(PODS, value)).toThrow(prefix + message);
  });

  test.each([
    [
      { kind: 'Foo' },
      'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme',
    ],
    [
      { kind: 'Pod', apiVersion: 'v2' },
      'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2" in scheme',
    ],
    [
      { kind: 3 },
      "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
    ],
    [5, "couldn't get version/kind; json parse error: json: cannot unmarshal number"],
  ])('%j', (value, message) => {
    expect(() => decodeObject(PODS, value)).toThrow(message);
  });

  test.each([
    ['YQ', 0],
    ['YWJjYQ', 4],
    ['Y=', 1],
    ['YQ=', 3],
    ['YQ==x', 4],
    ['YWI=YQ==', 4],
    ['Y*==', 1],
  ])('base64 %j is wrong at %d', (text, at) => {
    expect(() => decodeObject(SECRETS, { data: { k: text } })).toThrow(`illegal base64 data at input byte ${at}`);
  });
});

describe('canonical forms', () => {
  test('quantities, also as numbers', () => {
    const { object } = decodeObject(NODES, {
      metadata: { name: 'n' },
      status: { capacity: { cpu: 2, memory: '1024Ki', pods: '110', x: 0.5 } },
    });
    expect(object.status?.capacity).toEqual({ cpu: '2', memory: '1Mi', pods: '110', x: '500m' });
  });

  test('times in UTC, whole seconds; micro times keep six digits', () => {
    expect(
      decodeObject(PODS, { metadata: { creationTimestamp: '2026-01-01T02:00:00.9+02:00' } }).object.metadata
        .creationTimestamp,
    ).toBe('2026-01-01T00:00:00Z');
    expect(decodeObject(LEASES, { spec: { renewTime: '2026-01-01T00:00:00.1234567Z' } }).object.spec?.renewTime).toBe(
      '2026-01-01T00:00:00.123456Z',
    );
  });

  test('a body that is null is an empty object', () => {
    expect(decodeJson(PODS, 'null').object).toEqual({ kind: 'Pod', apiVersion: 'v1', metadata: {} });
  });

  test('a null among the members of a list or a map is the zero of their type', () => {
    const { spec } = decodeObject<Pod>(PODS, {
      spec: {
        containers: [{ args: ['x', null], resources: { limits: { cpu: null } } }],
        securityContext: { supplementalGroups: [1, null] },
        nodeSelector: { a: null },
      },
    }).object;
    expect(spec).toEqual({
      containers: [{ args: ['x', ''], resources: { limits: { cpu: '0' } } }],
      securityContext: { supplementalGroups: [1, 0] },
      nodeSelector: { a: '' },
    });
  });

  test('nulls and empty optional lists and maps mean absence', () => {
    const { object } = decodeObject(PODS, {
      metadata: { name: 'p', labels: {}, annotations: null },
      spec: { containers: [], volumes: [], nodeSelector: {}, securityContext: {} },
    });
    expect(object).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [], securityContext: {} },
    });
  });

  test('base64 loses its line breaks', () => {
    expect(decodeObject(SECRETS, { data: { k: 'YWJj\nYQ==' } }).object.data).toEqual({ k: 'YWJjYQ==' });
  });

  test('__proto__ is an ordinary key', () => {
    const { object } = decodeJson(CONFIGMAPS, '{"data":{"__proto__":"x"}}');
    expect(Object.keys(object.data!)).toEqual(['__proto__']);
    expect(({} as { x?: string }).x).toBeUndefined();
  });

  test('the value decoded is not changed', () => {
    const value = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', resources: { limits: { cpu: 1 } } }] } };
    const copy = structuredClone(value);
    decodeObject<Pod>(PODS, value);
    expect(value).toEqual(copy);
  });
});

test('any type of the table', () => {
  expect(decodeType('meta.v1.DeleteOptions', { gracePeriodSeconds: 0, foo: 1 })).toEqual({ gracePeriodSeconds: 0 });
  expect(() => decodeType('meta.v1.DeleteOptions', { gracePeriodSeconds: 'x' })).toThrow(
    'json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
  );
});

describe('decodePatched', () => {
  const pod = (spec: object) => ({ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'p' }, spec });
  const decode = (type: 'merge' | 'strategic', patched: object, fieldValidation?: FieldValidation) =>
    decodePatched(PODS, patched, { type, patch: { spec: { a: [1, null] } } }, { fieldValidation });
  const refused = (shown: string, problem: string) => ({
    code: 422,
    reason: 'Invalid',
    message: ` "" is invalid: patch: Invalid value: ${JSON.stringify(shown)}: ${problem}`,
    details: {
      causes: [
        { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(shown)}: ${problem}`, field: 'patch' },
      ],
    },
  });

  test.each([
    [{ nodeSelector: [] }, 'cannot restore map from slice'],
    [{ containers: 'c' }, 'cannot restore slice from string'],
    [{ securityContext: true }, 'cannot restore struct from: bool'],
    [{ activeDeadlineSeconds: 'x' }, 'unrecognized type: int64'],
    [{ activeDeadlineSeconds: 1.5 }, 'cannot convert float64 to int64'],
    [{ hostNetwork: 'x' }, 'unrecognized type: bool'],
    [{ nodeName: 5 }, 'cannot convert int64 to string'],
    [{ restartPolicy: 5 }, 'cannot convert int64 to v1.RestartPolicy'],
    [{ nodeName: {} }, 'unrecognized type: string'],
  ])('strategic, %j', (spec, problem) => {
    expect(() => decode('strategic', pod(spec))).toThrow(
      expect.objectContaining(refused('map[spec:map[a:[1 <nil>]]]', problem)),
    );
  });

  test.each([
    [
      pod({ containers: 'c' }),
      'json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      { ...pod({}), kind: 'Foo' },
      'no kind "Foo" is registered for version "v1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"',
    ],
  ])('merge, %j', (patched, problem) => {
    expect(() => decode('merge', patched)).toThrow(expect.objectContaining(refused(JSON.stringify(patched), problem)));
  });

  test('fields that are not known', () => {
    const unknown = pod({ foo: 1, bar: 2 });
    expect(decode('merge', unknown).warnings).toEqual(['unknown field "spec.foo"', 'unknown field "spec.bar"']);
    const problem = 'strict decoding error: unknown field "spec.bar", unknown field "spec.foo"';
    expect(() => decode('strategic', unknown, 'Strict')).toThrow(
      expect.objectContaining(refused('map[spec:map[a:[1 <nil>]]]', problem)),
    );
  });

  test('a strategic patch cannot change the kind', () => {
    expect(decode('strategic', { ...pod({}), kind: 'Foo' }).object.kind).toBe('Pod');
  });
});
