import { expect, test } from 'vitest';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import { locateError, locateWarning, parseFieldPath, parseManifest } from './manifest.ts';

const POD = `# comment
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
  - name: app
    imge: nginx
    ports:
    - containerPort: 0
`;

test('an object gets the namespace when it names none; cluster objects do not', () => {
  const [pod, other, ns] = parseManifest(
    `${POD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: own}\n---\n---\n` +
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: nn}\n',
    'f.yaml',
    'dev',
  );
  expect(pod?.object.metadata).toEqual({ name: 'p', namespace: 'dev' });
  expect(other?.object.metadata).toEqual({ name: 'c', namespace: 'own' });
  expect(ns?.object.metadata).toEqual({ name: 'nn' });
});

test.each([
  ['spec.containers[0].imge', 'f.yaml:9:5'],
  ['spec.containers[0].ports[0].containerPort', 'f.yaml:11:7'],
  ['spec.containers[0].image', 'f.yaml:8:5'],
  ['spec.containers[0]', 'f.yaml:8:5'],
  ['spec.volumes', 'f.yaml:6:1'],
  ['metadata.labels[a/b]', 'f.yaml:4:1'],
  ['nothing', 'f.yaml:2:1'],
])('%s stands at %s', (field, where) => {
  expect(parseManifest(POD, 'f.yaml', 'default')[0]?.locate(field)).toBe(where);
});

test('objects in a List are found in their place', () => {
  const [a, b] = parseManifest(
    'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: b\n',
    'l.yaml',
    'default',
  );
  expect(a?.locate('metadata.name')).toBe('l.yaml:4:42');
  expect(b?.locate('metadata.name')).toBe('l.yaml:8:5');
});

test('YAML is read as Kubernetes reads it', () => {
  const text =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: yes, b: 0644, c: 2026-01-02, d: 1:30, e: "no"}\n';
  expect((parseManifest(text, 'f', 'default')[0]!.object as { data?: unknown }).data).toEqual({
    a: true,
    b: 420,
    c: '2026-01-02',
    d: '1:30',
    e: 'no',
  });
});

test.each([
  ['kind: Pod\n  name: x\n', 'f.yaml:1:7: '],
  ['a: 1\na: 2\n', 'f.yaml:2:1: this key is there twice'],
  ['kind: Pod\nmetadata: {name: p}\n', 'f.yaml:1:1: apiVersion is missing'],
  ['apiVersion: v1\nmetadata: {name: p}\n', 'f.yaml:1:1: kind is missing'],
  ['apiVersion: apps/v1\nkind: Deployment\n', 'f.yaml:2:1: no resource of kind Deployment in apps/v1 here'],
  ['- a\n', 'f.yaml:1:1: this is not an object'],
  ['', 'f.yaml: holds no object'],
])('%j is refused with its place', (text, message) => {
  let error: unknown;
  try {
    parseManifest(text, 'f.yaml', 'default');
  } catch (e) {
    error = e;
  }
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toContain(message);
});

test('an alias bomb is refused', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
    .split('')
    .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
    .join('\n')}\n`;
  expect(() => parseManifest(bomb, 'f.yaml', 'default')).toThrow(UserError);
});

test('the server’s verdict gets the places of the fields', () => {
  const [pod] = parseManifest(POD, 'f.yaml', 'default');
  const invalid = new ApiStatusError(422, 'Invalid', 'Pod "p" is invalid: ...', {
    causes: [
      { field: 'spec.containers[0].image', message: 'Required value' },
      { field: 'spec.containers[0].ports[0].containerPort', message: 'Required value' },
    ],
  });
  expect((locateError(invalid, pod!) as UserError).message).toBe(
    'Pod "p" is invalid:\nf.yaml:8:5: spec.containers[0].image: Required value\n' +
      'f.yaml:11:7: spec.containers[0].ports[0].containerPort: Required value',
  );
  const strict = new ApiStatusError(
    400,
    'BadRequest',
    'strict decoding error: unknown field "spec.containers[0].imge"',
  );
  expect((locateError(strict, pod!) as UserError).message).toBe(
    'Pod "p" has fields that do not exist:\nf.yaml:9:5: unknown field "spec.containers[0].imge"',
  );
  expect(locateWarning('unknown field "spec.containers[0].imge"', pod!)).toBe(
    'f.yaml:9:5: unknown field "spec.containers[0].imge"',
  );
  expect(locateWarning('spec.containers[0].ports: not yet', pod!)).toBe(
    'f.yaml:10:5: spec.containers[0].ports: not yet',
  );
  expect(locateWarning('something general', pod!)).toBe('something general');
});

test('field paths', () => {
  expect(parseFieldPath('spec.containers[0].env[10].name')).toEqual(['spec', 'containers', 0, 'env', 10, 'name']);
  expect(parseFieldPath('metadata.annotations[a.b/c]')).toEqual(['metadata', 'annotations', 'a.b/c']);
});
