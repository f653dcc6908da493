import { describe, expect, test } from 'vitest';
import { UserError } from '../lib/errors.ts';
import { readManifest } from './manifest.ts';
import { parseYaml, YamlError } from './yaml-text.ts';

const MANIFEST = `# two objects
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {example.com/tier: front}
spec:
  containers:
  - name: web
    image: nginx
    resources:
      limits:
        cpu: 1
---
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: cm}
  data:
    "a b": x
`;

describe('a manifest', () => {
  const [pod, configMap, ...more] = readManifest(MANIFEST, 'web.yaml');

  test('has objects in documents and lists', () => {
    expect(more).toEqual([]);
    expect(pod?.resource.plural).toBe('pods');
    expect(pod?.object.metadata.name).toBe('web');
    expect(configMap?.object).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'cm' },
      data: { 'a b': 'x' },
    });
  });

  test.each([
    ['spec.containers[0].image', '10:5'],
    ['spec.containers[0].resources.limits[cpu]', '13:9'],
    ['metadata.labels[example.com/tier]', '6:12'],
    ['spec.containers[0].ports[0].name', '9:5'],
    ['spec.restartPolicy', '7:1'],
    ['status', '2:1'],
    [undefined, '2:1'],
  ])('says where %s stands: %s', (path, place) => {
    expect(pod?.locate(path)).toBe(`web.yaml:${place}`);
  });

  test('says where a field of a list item stands', () => {
    expect(configMap?.locate('data[a b]')).toBe('web.yaml:23:5');
    expect(configMap?.locate()).toBe('web.yaml:19:3');
  });
});

test('typed lists say the kind of their items', () => {
  const text = '{"kind":"ConfigMapList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}';
  expect(readManifest(text, 'x.json').map(({ object }) => object.kind)).toEqual(['ConfigMap']);
});

test('JSON objects one after the other, as kubectl takes them', () => {
  const map = (name: string, data = ''): string =>
    `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"${name}"},"data":{"a":"{\\"[${data}"}}`;
  for (const between of ['', '\n', ' \r\n\t']) {
    const [a, b, ...more] = readManifest(`\n${map('a')}${between}${map('b')}\n`, 'x.json');
    expect([a?.object.metadata.name, b?.object.metadata.name, more]).toEqual(['a', 'b', []]);
    expect(a?.object).toMatchObject({ data: { a: '{"[' } });
  }
  const [, second] = readManifest(`${map('a')}\n${map('b')}`, 'x.json');
  expect(second?.locate('metadata.name')).toBe('x.json:2:51');
});

describe('YAML as kubectl reads it', () => {
  test.each([
    ['yes', true],
    ['off', false],
    ['y', true],
    ['0644', 420],
    ['0x10', 16],
    ['1_000', 1000],
    ['22:22', '22:22'],
    ['2020-01-01', '2020-01-01'],
    ['1.5', 1.5],
    ['~', null],
    ['"yes"', 'yes'],
    ['1e3', 1000],
  ])('%s', (text, value) => {
    expect(parseYaml(`a: ${text}`)).toEqual({ a: value });
  });

  test('anchors and merge keys', () => {
    expect(parseYaml('a: &a {p: 1, q: 2}\nb:\n  <<: *a\n  q: 3\n')).toEqual({ a: { p: 1, q: 2 }, b: { p: 1, q: 3 } });
  });

  test('one document only', () => {
    expect(() => parseYaml('a: 1\n---\nb: 1\n')).toThrow(YamlError);
    expect(parseYaml('---\na: 1\n---\n')).toEqual({ a: 1 });
    expect(parseYaml('')).toBeUndefined();
  });
});

describe('mistakes', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdef'.split('').map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcde'[i]}`).join(',')}]`),
  ];
  test.each([
    ['kind: Pod\nkind: Pod\n', 'm.yaml:2:1: Map keys must be unique'],
    ['a: b: c\n', 'm.yaml:1:4: Nested mappings are not allowed in compact mappings'],
    ['a:\n  b: 1\n c: 2\n', /^m\.yaml:3:1: /],
    ['a:\n\tb: 1\n', 'm.yaml:2:1: Tabs are not allowed as indentation'],
    ['{"a": [1, 2}', /^m\.yaml:1:12: /],
    [bomb.join('\n'), 'm.yaml:1:1: Excessive alias count indicates a resource exhaustion attack'],
    ['# nothing\n', 'm.yaml: holds no objects'],
    ['- 1\n', 'm.yaml:1:1: expected a Kubernetes object, found a list'],
    ['hello\n', 'm.yaml:1:1: expected a Kubernetes object, found "hello"'],
    ['apiVersion: v1\nmetadata: {}\n', 'm.yaml:1:1: kind is missing'],
    ['a: 1\n---\nkind: Pod\n', 'm.yaml:1:1: apiVersion is missing'],
    ['apiVersion: v1\nkind: Pod\nmetadata: []\n', 'm.yaml:3:1: metadata must be a mapping, found []'],
    ['apiVersion: 1\nkind: Pod\n', 'm.yaml:1:1: apiVersion must be text, found 1'],
    ['apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n', 'm.yaml:4:3: apiVersion is missing'],
    ['apiVersion: v1\nkind: Foo\n', 'm.yaml:2:1: no kind "Foo" in version "v1"'],
    [
      'apiVersion: v1\nkind: Foo\n---\napiVersion: v1\nkind: Bar\n',
      'm.yaml:2:1: no kind "Foo" in version "v1"\nm.yaml:5:1: no kind "Bar" in version "v1"',
    ],
    ['{"a": 1}\n{"a": 1,\n"a": 2}', 'm.yaml:3:1: Map keys must be unique'],
    ['{"a": 1}, {"b": 2}', /^m\.yaml:1:9: /],
  ])('%j', (text, message) => {
    expect(() => readManifest(text, 'm.yaml')).toThrow(UserError);
    expect(() => readManifest(text, 'm.yaml')).toThrow(message);
  });

  test('that are long, or deep', () => {
    const long = 'x'.repeat(100_000);
    for (const text of [`${long}\n`, `{"a": 1}${long}`, `apiVersion: v1\nkind: ${long}\n`, `apiVersion: [${long}]`]) {
      const read = (): unknown => readManifest(text, 'm.yaml');
      expect(read).toThrow(UserError);
      expect(read).not.toThrow(/.{300}/);
    }
    for (const text of ['['.repeat(100_000), `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`, '- '.repeat(20_000)]) {
      expect(() => readManifest(text, 'm.yaml')).toThrow(/^m\.yaml:1:\d+: nested too deeply$/);
    }
  });

  test.each([
    ['apiVersion: v1\nkind: pod\n', 'm.yaml:2:1', 'did you mean kind: Pod in apiVersion: v1?'],
    ['apiVersion: v1\nkind: Lease\n', 'm.yaml:1:1', 'did you mean kind: Lease in apiVersion: coordination.k8s.io/v1?'],
  ])('%j gets a hint', (text, place, hint) => {
    try {
      readManifest(text, 'm.yaml');
      expect.unreachable();
    } catch (error) {
      expect((error as UserError).message.startsWith(place)).toBe(true);
      expect((error as UserError).hint).toBe(hint);
    }
  });
});
