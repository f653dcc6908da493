import { describe, expect, test } from 'vitest';
import { recordedAnswer } from '../../test/recorded-answers.ts';
import type { ConfigMap, Pod } from './generated/types.ts';
import { applyPatch, parsePatch } from './patch.ts';
import { CONFIGMAPS, PODS, SERVICES } from './resources.ts';
import { ApiStatusError } from './status-error.ts';

function statusOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(ApiStatusError);
    return (error as ApiStatusError).toStatus();
  }
  return undefined;
}

const cm = (): ConfigMap => recordedAnswer('put ok').answer;

describe('recorded', () => {
  test.each(['json patch test fails', 'json patch missing path', 'json patch not a list', 'json patch unknown op'])(
    '%s',
    (name) => {
      const { body, answer } = recordedAnswer(name);
      expect(statusOf(() => applyPatch('json', CONFIGMAPS, cm(), body))).toEqual(answer);
    },
  );

  test('patch bad json', () => {
    const { body, answer } = recordedAnswer('patch bad json');
    expect(statusOf(() => parsePatch(body))).toEqual(answer);
  });
});

describe('JSON patch', () => {
  const before = { metadata: { name: 'x' }, data: { a: '1' } } as ConfigMap;

  test('all operations', () => {
    const after = applyPatch('json', CONFIGMAPS, before, [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'add', path: '/data/b', value: '2' },
      { op: 'copy', from: '/data/b', path: '/data/c' },
      { op: 'move', from: '/data/a', path: '/data/d~1e' },
      { op: 'replace', path: '/data/b', value: '3' },
      { op: 'remove', path: '/data/c' },
    ]);
    expect(after.data).toEqual({ b: '3', 'd/e': '1' });
  });

  test('all or nothing, on a copy', () => {
    const copy = structuredClone(before);
    expect(() =>
      applyPatch('json', CONFIGMAPS, before, [
        { op: 'add', path: '/data/b', value: '2' },
        { op: 'remove', path: '/data/none' },
      ]),
    ).toThrow('the server rejected our request');
    expect(before).toEqual(copy);
  });

  test.each([
    [[1]],
    [[{ op: 'add' }]],
    [[{ op: 'replace', path: '', value: {} }]],
    [[{ op: 'add', path: 'data', value: 1 }]],
  ])('%j is refused', (patch) => {
    expect(() => applyPatch('json', CONFIGMAPS, before, patch)).toThrow(ApiStatusError);
  });

  test('copies that double an object each time end at 3 MiB', () => {
    const doubling = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '/data', path: `/data/x${i}` }));
    expect(() => applyPatch('json', CONFIGMAPS, before, doubling)).toThrow(
      /^the server rejected our request due to an error in our request/,
    );
  });

  test('the prototype of objects stays as it is', () => {
    try {
      applyPatch('json', CONFIGMAPS, before, [{ op: 'add', path: '/__proto__/polluted', value: 1 }]);
    } catch {
      // Refusing is as good.
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('merge patch (RFC 7386)', () => {
  // The cases of the RFC's appendix, one level down.
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j', (data, patch, result) => {
    const before = { metadata: { name: 'x' }, data } as unknown as ConfigMap;
    expect(applyPatch('merge', CONFIGMAPS, before, { data: patch }).data).toEqual(result);
    expect(before.data).toEqual(data);
  });

  test('must be an object', () => {
    expect(() => applyPatch('merge', CONFIGMAPS, cm(), [])).toThrow(
      'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
    );
  });

  test('__proto__ is an ordinary key', () => {
    const after = applyPatch('merge', CONFIGMAPS, cm(), JSON.parse('{"data":{"__proto__":"x"}}'));
    expect(Object.keys(after.data!)).toContain('__proto__');
    expect(Object.getPrototypeOf(after.data)).toBe(Object.prototype);
  });
});

describe('strategic merge patch', () => {
  const pod = (spec: object, metadata: object = {}): Pod =>
    ({ metadata: { name: 'p', ...metadata }, spec: { containers: [], ...spec } }) as unknown as Pod;
  const patched = (before: Pod, patch: object) => applyPatch('strategic', PODS, before, patch);
  const two = [
    { name: 'a', image: 'x', args: ['1'] },
    { name: 'b', image: 'y' },
  ];

  test('lists merge by their key, new members before what only the server has, as recorded in `pod status patch`', () => {
    const after = patched(pod({ containers: two }), {
      spec: {
        containers: [
          { name: 'c', image: 'z' },
          { name: 'a', image: 'x2' },
        ],
      },
    });
    expect(after.spec.containers).toEqual([
      { name: 'c', image: 'z' },
      { name: 'a', image: 'x2', args: ['1'] },
      { name: 'b', image: 'y' },
    ]);
  });

  test('lists without merge strategy are replaced', () => {
    const after = patched(pod({ containers: two, tolerations: [{ key: 'a' }] }), {
      spec: { containers: [{ name: 'a', args: ['2'] }], tolerations: [{ key: 'b' }] },
    });
    expect(after.spec.containers[0]).toEqual({ name: 'a', image: 'x', args: ['2'] });
    expect(after.spec.tolerations).toEqual([{ key: 'b' }]);
  });

  test('$patch: delete and replace', () => {
    expect(
      patched(pod({ containers: two }), { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }).spec.containers,
    ).toEqual([{ name: 'b', image: 'y' }]);
    expect(
      patched(pod({ containers: two }), { spec: { containers: [{ $patch: 'replace' }, { name: 'n', image: 'n' }] } })
        .spec.containers,
    ).toEqual([{ name: 'n', image: 'n' }]);
    expect(
      patched(pod({ securityContext: { runAsUser: 1 } }), {
        spec: { securityContext: { $patch: 'replace', runAsGroup: 2 } },
      }).spec.securityContext,
    ).toEqual({ runAsGroup: 2 });
    expect(
      patched(pod({ securityContext: { runAsUser: 1 } }), { spec: { securityContext: { $patch: 'delete' } } }).spec
        .securityContext,
    ).toEqual({});
  });

  test('$retainKeys lets a volume change its kind', () => {
    const before = pod({
      volumes: [
        { name: 'v', emptyDir: {} },
        { name: 'w', emptyDir: {} },
      ],
    });
    const after = patched(before, {
      spec: { volumes: [{ name: 'v', hostPath: { path: '/x' }, $retainKeys: ['name', 'hostPath'] }] },
    });
    expect(after.spec.volumes).toEqual([
      { name: 'v', hostPath: { path: '/x' } },
      { name: 'w', emptyDir: {} },
    ]);
  });

  test('$deleteFromPrimitiveList and merging lists of words', () => {
    const before = pod({}, { finalizers: ['a/x', 'b/x'] });
    expect(patched(before, { metadata: { finalizers: ['b/x', 'c/x'] } }).metadata.finalizers).toEqual([
      'a/x',
      'b/x',
      'c/x',
    ]);
    expect(
      patched(before, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a/x'] } }).metadata.finalizers,
    ).toEqual(['b/x']);
  });

  test('$setElementOrder sorts; what only the server has keeps its place', () => {
    const named = (...names: string[]) => names.map((name) => ({ name, image: name }));
    const order = (before: string[], patch: object) =>
      patched(pod({ containers: named(...before) }), { spec: patch }).spec.containers.map(({ name }) => name);
    expect(
      order(['a', 'b', 'c'], { '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }] }),
    ).toEqual(['c', 'b', 'a']);
    expect(
      order(['a', 's', 'b'], {
        '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }, { name: 'n' }],
        containers: [{ name: 'n', image: 'n' }],
      }),
    ).toEqual(['a', 's', 'b', 'n']);
  });

  test('a patch as kubectl apply sends it leaves no directive behind', () => {
    const after = patched(pod({ containers: two }), {
      metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
      spec: {
        '$setElementOrder/containers': [{ name: 'a' }, { name: 'd' }],
        containers: [
          {
            name: 'd',
            image: 'd',
            '$setElementOrder/ports': [{ containerPort: 1 }],
            ports: [{ containerPort: 1 }],
            args: null,
          },
          { name: 'b', $patch: 'delete' },
        ],
      },
    });
    expect(JSON.stringify(after)).not.toContain('$');
    expect(after.spec.containers).toEqual([
      { name: 'a', image: 'x', args: ['1'] },
      { name: 'd', image: 'd', ports: [{ containerPort: 1 }] },
    ]);
  });

  test('null deletes; in what is new it is dropped', () => {
    const before = pod({ nodeName: 'n' }, { labels: { a: '1', b: '2' } });
    const after = patched(before, {
      metadata: { labels: { a: null, c: null } },
      spec: { nodeName: null, dnsConfig: { options: null } },
    });
    expect(after.metadata.labels).toEqual({ b: '2' });
    expect(after.spec).toEqual({ containers: [], dnsConfig: {} });
  });

  test('service ports merge by port alone', () => {
    const service = { metadata: { name: 's' }, spec: { ports: [{ port: 80, name: 'a' }] } } as never;
    expect(
      applyPatch('strategic', SERVICES, service, { spec: { ports: [{ port: 80, targetPort: 8080 }] } }),
    ).toMatchObject({ spec: { ports: [{ port: 80, name: 'a', targetPort: 8080 }] } });
  });

  test.each([
    [
      { spec: { containers: [{ image: 'x' }] } },
      [500, '', 'map: map[image:x] does not contain declared merge key: name'],
    ],
    [
      { spec: { containers: [{ name: 'a', $patch: 'shrink' }] } },
      [500, '', 'unknown patch type: shrink in map: map[$patch:shrink name:a]'],
    ],
    [{ spec: { $patch: 'foo' } }, [500, '', 'unknown patch type: foo in map: map[$patch:foo]']],
    [
      { spec: { volumes: [{ name: 'v', $retainKeys: ['name'], hostPath: { path: '/' } }] } },
      [422, 'Invalid', 'the server rejected our request due to an error in our request'],
    ],
    [{ spec: { $retainKeys: 'name' } }, [400, 'BadRequest', 'invalid patch format of retainKeys']],
    [
      { spec: { '$setElementOrder/volumes': 'v' } },
      [400, 'BadRequest', 'invalid patch format of setElementOrder list'],
    ],
    [
      { metadata: { '$deleteFromPrimitiveList/finalizers': 'f' } },
      [400, 'BadRequest', 'invalid patch format of primitive list'],
    ],
  ])('%j is refused', (patch, [code, reason, message]) => {
    const work = () => patched(pod({ containers: two, volumes: [{ name: 'v' }] }), patch);
    expect(work).toThrow(expect.objectContaining({ code, reason, message }));
  });

  test('neither object nor patch is changed', () => {
    const before = pod({ containers: two });
    const patch = { spec: { containers: [{ name: 'a', $patch: 'delete' }] } };
    const copies = structuredClone([before, patch]);
    patched(before, patch);
    expect([before, patch]).toEqual(copies);
  });
});
