import { expect, test } from 'vitest';
import { negotiate } from './negotiate.ts';

const KUBECTL_GET =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

test.each<[string | undefined, 'objects' | 'discovery' | 'none', string]>([
  [undefined, 'objects', 'application/json'],
  ['*/*', 'objects', 'application/json'],
  [KUBECTL_GET, 'objects', 'application/json Table'],
  [KUBECTL_GET, 'none', 'application/json'],
  ['application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json', 'objects', 'application/json'],
  ['application/vnd.kubernetes.protobuf,application/json', 'objects', 'application/json'],
  ['application/yaml', 'objects', 'application/yaml'],
  ['application/json;q=0.5, application/yaml', 'objects', 'application/yaml'],
  ['text/html, application/*;q=0.8', 'objects', 'application/json'],
  [
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    'discovery',
    'application/json APIGroupDiscoveryList',
  ],
])('%s for %s', (accept, forms, expected) => {
  const { type, as } = negotiate(accept, forms);
  expect(as ? `${type} ${as}` : type).toBe(expected);
});

test.each(['application/vnd.kubernetes.protobuf', 'text/csv', 'application/json;q=0'])(
  'nothing of %s is here',
  (accept) => {
    expect(() => negotiate(accept, 'objects')).toThrow(/^406: Not Acceptable/);
  },
);
