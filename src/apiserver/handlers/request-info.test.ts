import { expect, test } from 'vitest';
import { parseRequest } from './request-info.ts';

const parse = (method: string, url: string) => {
  const { pathname, searchParams } = new URL(url, 'https://x');
  return parseRequest(method, pathname, searchParams);
};

test.each<[string, string, string]>([
  ['GET', '/api/v1/pods', 'list pods'],
  ['GET', '/api/v1/pods?watch=1', 'watch pods'],
  ['GET', '/api/v1/namespaces/ns/pods?watch=true', 'watch ns pods'],
  ['POST', '/api/v1/namespaces/ns/pods', 'create ns pods'],
  ['DELETE', '/api/v1/namespaces/ns/pods', 'deletecollection ns pods'],
  ['HEAD', '/api/v1/namespaces/ns/pods/p', 'get ns pods p'],
  ['PUT', '/api/v1/namespaces/ns/pods/p/status', 'update ns pods p status'],
  ['POST', '/api/v1/namespaces/ns/pods/p/exec?command=ls', 'create ns pods p exec'],
  ['GET', '/api/v1/namespaces/ns/pods/p/proxy/a/b%2Fc', 'get ns pods p proxy /a/b%2Fc'],
  ['GET', '/api/v1/namespaces', 'list namespaces'],
  ['GET', '/api/v1/namespaces/ns', 'get namespaces ns'],
  ['PUT', '/api/v1/namespaces/ns/finalize', 'update namespaces ns finalize'],
  ['GET', '/api/v1/nodes/n/proxy/metrics/cadvisor', 'get nodes n proxy /metrics/cadvisor'],
  ['PATCH', '/apis/coordination.k8s.io/v1/namespaces/ns/leases/l', 'patch coordination.k8s.io ns leases l'],
  ['GET', '/api/v1/namespaces/ns/configmaps/a%20b', 'get ns configmaps a b'],
])('%s %s', (method, url, expected) => {
  const info = parse(method, url);
  if (!info.isResource) return expect.unreachable();
  const { verb, group, namespace, plural, name, subresource, rest } = info;
  expect([verb, group, namespace, plural, name, subresource, rest].filter(Boolean).join(' ')).toBe(expected);
});

test.each(['/', '/api', '/api/v1', '/api/v1/', '/apis/apps/v1', '/healthz', '/openapi/v3/api/v1'])(
  '%s is no resource',
  (url) => {
    expect(parse('GET', url).isResource).toBe(false);
  },
);
