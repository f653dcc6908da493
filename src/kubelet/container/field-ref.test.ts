import { expect, test } from 'vitest';
import type { Container, Pod } from '../../api/generated/types.ts';
import { fieldValue } from './field-ref.ts';
import { resourceFieldValue } from './resource-field-ref.ts';

const sized: Container = {
  name: 'sized',
  resources: { limits: { cpu: '1500m', memory: '100Mi' }, requests: { cpu: '250m', memory: 1000 } },
};
const bare: Container = { name: 'bare' };
const pod: Pod = {
  metadata: {
    name: 'p',
    namespace: 'ns',
    uid: 'u',
    labels: { b: '2', a: 'x "y"' },
    annotations: { 'example.com/a': 'line\nline', 'example.com/b': '\x07' },
  },
  spec: { containers: [sized, bare], initContainers: [{ name: 'init' }], nodeName: 'n', serviceAccountName: 'sa' },
};
const context = { nodeName: 'n', hostIP: '192.0.2.1', podIPs: ['10.88.0.2', 'fd00::2'] };

test.each([
  ['metadata.name', 'p'],
  ['metadata.namespace', 'ns'],
  ['metadata.uid', 'u'],
  ["metadata.labels['a']", 'x "y"'],
  ["metadata.labels['nope']", ''],
  ["metadata.labels['constructor']", ''],
  ["metadata.annotations['example.com/a']", 'line\nline'],
  ['metadata.labels', 'a="x \\"y\\""\nb="2"'],
  ['metadata.annotations', 'example.com/a="line\\nline"\nexample.com/b="\\a"'],
  ['spec.nodeName', 'n'],
  ['spec.serviceAccountName', 'sa'],
  ['status.hostIP', '192.0.2.1'],
  ['status.hostIPs', '192.0.2.1'],
  ['status.podIP', '10.88.0.2'],
  ['status.podIPs', '10.88.0.2,fd00::2'],
])('field %s', (path, value) => {
  expect(fieldValue(pod, path, context)).toBe(value);
});

test('a field that is none', () => {
  expect(() => fieldValue(pod, 'spec.containers', context)).toThrow('unsupported fieldPath: spec.containers');
});

const capacity = { cpuMillis: 2000, memoryBytes: 4096, ephemeralStorageBytes: 8192 };

test.each([
  [sized, { resource: 'limits.cpu' }, '2'],
  [sized, { resource: 'limits.cpu', divisor: '1m' }, '1500'],
  [sized, { resource: 'limits.cpu', divisor: '0' }, '2'],
  [sized, { resource: 'requests.cpu' }, '1'],
  [sized, { resource: 'limits.memory', divisor: '1Mi' }, '100'],
  [sized, { resource: 'requests.memory' }, '1000'],
  [sized, { resource: 'limits.memory', divisor: '1Gi' }, '1'],
  [bare, { resource: 'limits.cpu' }, '2'],
  [bare, { resource: 'limits.memory' }, '4096'],
  [bare, { resource: 'requests.memory' }, '0'],
  [bare, { resource: 'limits.ephemeral-storage' }, '8192'],
  [bare, { resource: 'limits.ephemeral-storage', divisor: '1Ki' }, '8'],
  [bare, { resource: 'requests.ephemeral-storage' }, '0'],
  [bare, { resource: 'limits.hugepages-2Mi' }, '0'],
  [{ name: 'zero', resources: { limits: { cpu: '0', memory: '0' } } }, { resource: 'limits.memory' }, '4096'],
  [{ name: 'zero', resources: { limits: { cpu: '0', memory: '0' } } }, { resource: 'limits.cpu' }, '2'],
  [undefined, { resource: 'limits.cpu', containerName: 'sized' }, '2'],
  [undefined, { resource: 'requests.cpu', containerName: 'init' }, '0'],
])('resource %#', (container, selector, value) => {
  expect(resourceFieldValue(pod, container, selector, capacity)).toBe(value);
});

test('a resource that is none', () => {
  expect(() => resourceFieldValue(pod, sized, { resource: 'cpu' }, capacity)).toThrow(
    'unsupported container resource : cpu',
  );
  expect(() => resourceFieldValue(pod, undefined, { resource: 'limits.cpu', containerName: 'x' }, capacity)).toThrow(
    'container x not found',
  );
});
