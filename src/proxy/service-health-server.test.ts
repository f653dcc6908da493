import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Service, ServiceSpec } from '../api/generated/types.ts';
import { SERVICES } from '../api/resources.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { ServiceHealthServer } from './service-health-server.ts';

const clock = new FakeClock();
const key = { namespace: 'shop', name: 'web' };
let client: FakeKubeClient;
let abort: AbortController;
let running: Promise<void>;
let told: string[];
let onTold = (): void => {};
let endpoints: number;
let isHealthy: boolean;
/** A program of somebody else, whose port may be had when it is closed. */
let other: Server;
let port: number;

beforeEach(async () => {
  client = new FakeKubeClient(clock);
  abort = new AbortController();
  told = [];
  endpoints = 2;
  isHealthy = true;
  other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '0.0.0.0', resolve));
  port = (other.address() as AddressInfo).port;
  const server = new ServiceHealthServer({
    client,
    clock,
    logger: silentLogger,
    nodeName: 'n',
    events: {
      record: ({ name }, type, reason, message) => {
        told.push(`${name} ${type} ${reason} ${message}`);
        onTold();
      },
    },
    proxier: {
      isHealthy: () => isHealthy,
      localReadyEndpoints: (service) => (service === 'shop/web' ? endpoints : 0),
    },
  });
  running = server.run(abort.signal);
  await clock.advance(0);
});
afterEach(async () => {
  other.close();
  abort.abort();
  await running;
});

const service = (more: Partial<ServiceSpec> = {}): Service => ({
  metadata: { ...key },
  spec: {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    clusterIPs: ['10.96.0.7'],
    healthCheckNodePort: port,
    ...more,
  },
});
const free = (): Promise<unknown> => new Promise((resolve) => other.close(resolve));
/** The answer, or 'nobody'. */
async function ask(): Promise<string> {
  await clock.advance(0);
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
  return answer ? `${answer.status} ${answer.headers.get('x-load-balancing-endpoint-weight')}` : 'nobody';
}

test('says whether there are endpoints here, in the words of kube-proxy', async () => {
  await free();
  await client.create(SERVICES, service());
  expect(await ask()).toBe('200 2');
  const answer = await fetch(`http://127.0.0.1:${port}`);
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(await answer.text()).toBe(
    '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
  isHealthy = false;
  expect(await ask()).toBe('503 2');
  isHealthy = true;
  endpoints = 0;
  expect(await ask()).toBe('503 0');
});

test.each<[string, Service['metadata'], Partial<ServiceSpec>]>([
  ['another policy', key, { externalTrafficPolicy: 'Cluster' }],
  ['another type', key, { type: 'NodePort' }],
  ["another proxy's", { ...key, labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }, {}],
])('nobody answers for %s, nor once the Service is gone', async (_, metadata, more) => {
  await free();
  await client.create(SERVICES, service());
  expect(await ask()).toBe('200 2');
  await client.update(SERVICES, { ...service(more), metadata });
  expect(await ask()).toBe('nobody');
  await client.update(SERVICES, service());
  expect(await ask()).toBe('200 2');
  await client.delete(SERVICES, key);
  expect(await ask()).toBe('nobody');
});

test('a port that somebody else has is told, and taken when the Service changes after that', async () => {
  const heard = new Promise<void>((resolve) => {
    onTold = resolve;
  });
  await client.create(SERVICES, service());
  await heard;
  expect(told).toEqual([
    `web Warning FailedToStartServiceHealthcheck node n failed to start healthcheck "shop/web" on port ${port}: listen tcp4 0.0.0.0:${port}: bind: address already in use`,
  ]);
  await free();
  await client.update(SERVICES, { ...service(), metadata: { ...key, labels: { a: 'b' } } });
  expect(await ask()).toBe('200 2');
});
