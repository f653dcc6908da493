import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../test/start-test-server.ts';
import type { Service } from '../api/generated/types.ts';
import { ENDPOINTS, ENDPOINTSLICES, SERVICES } from '../api/resources.ts';
import { silentLogger } from '../lib/logger.ts';
import type { AgentService } from './agent-service.ts';
import { AgentServiceController } from './agent-service-controller.ts';
import { EndpointSliceController } from './endpoint-slice-controller.ts';

const key = { namespace: 'default', name: 'kubernetes' };
const wanted: AgentService = {
  ...key,
  labels: { component: 'apiserver' },
  clusterIP: '10.96.0.1',
  ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: 6443 }],
  address: '10.88.0.1',
};
let server: TestServer;
let abort: AbortController;
let running: Promise<void>[];

/** Beside the controller that looks after everybody's Services. */
async function start(service: AgentService): Promise<void> {
  const options = { client: server.client, clock: server.clock, logger: silentLogger };
  abort = new AbortController();
  const controller = new AgentServiceController(service, options);
  const others = new EndpointSliceController({ ...options, events: { record: () => {} } });
  running = [controller.run(abort.signal), others.run(abort.signal)];
  await controller.synced;
}
async function stop(): Promise<void> {
  abort.abort();
  await Promise.all(running);
}
beforeEach(async () => {
  server = await startTestServer();
  await start(wanted);
});
afterEach(async () => {
  await stop();
  await server.close();
});

/** As `kubectl get svc,ep,endpointslices` would show it. */
async function shown(): Promise<unknown> {
  const list = async <T>(items: Promise<{ items: T[] }>): Promise<T[]> => (await items).items;
  const services = await list(server.client.list(SERVICES, { namespace: 'default' }));
  const endpoints = await list(server.client.list(ENDPOINTS, { namespace: 'default' }));
  const slices = await list(server.client.list(ENDPOINTSLICES, { namespace: 'default' }));
  return {
    services: services.map(({ spec }) => `${spec!.type} ${spec!.clusterIP} ${spec!.ports![0]!.port}`),
    endpoints: endpoints.map(({ subsets }) => subsets?.map((s) => `${s.addresses![0]!.ip}:${s.ports![0]!.port}`)),
    slices: slices.map((slice) => slice.endpoints?.map((e) => `${e.addresses[0]}:${slice.ports![0]!.port}`)),
  };
}
const asWanted = {
  services: ['ClusterIP 10.96.0.1 443'],
  endpoints: [['10.88.0.1:6443']],
  slices: [['10.88.0.1:6443']],
};
const service = (): Promise<Service> => server.client.get(SERVICES, key);
const uids = async () =>
  [await service(), await server.client.get(ENDPOINTS, key), await server.client.get(ENDPOINTSLICES, key)].map(
    ({ metadata }) => metadata.uid,
  );

test('is made once, and left alone by the next agent, whatever was added to it', async () => {
  expect(await shown()).toEqual(asWanted);
  const before = await uids();
  await server.client.patch(SERVICES, key, 'merge', { metadata: { labels: { mine: 'yes' } } });
  await server.clock.advance(5000);
  await stop();
  await start(wanted);
  await server.clock.advance(5000);
  expect(await uids()).toEqual(before);
  expect((await service()).metadata.labels).toEqual({ component: 'apiserver', mine: 'yes' });
});

test('comes back when it is deleted, as often as that happens, and is put right when it is changed', async () => {
  for (let i = 0; i < 3; i++) {
    await server.client.delete(SERVICES, key);
    await server.clock.advance(2000);
    expect(await shown()).toEqual(asWanted);
  }
  await server.client.delete(ENDPOINTS, key);
  await server.client.delete(ENDPOINTSLICES, key);
  await server.clock.advance(2000);
  expect(await shown()).toEqual(asWanted);
  await server.client.patch(SERVICES, key, 'merge', { spec: { ports: [{ name: 'https', port: 444 }] } });
  await server.clock.advance(2000);
  expect(await shown()).toEqual(asWanted);
});

test('follows the agent to another port in place; for another cluster address the Service is made anew; labels stay', async () => {
  const before = await uids();
  await server.client.patch(SERVICES, key, 'merge', { metadata: { labels: { mine: 'yes' } } });
  await stop();
  const ports = [{ ...wanted.ports[0]!, targetPort: 7443 }];
  await start({ ...wanted, ports });
  await server.clock.advance(2000);
  expect(await shown()).toEqual({ ...asWanted, endpoints: [['10.88.0.1:7443']], slices: [['10.88.0.1:7443']] });
  expect((await service()).spec!.ports![0]!.targetPort).toBe(7443);
  expect(await uids()).toEqual(before);
  await stop();
  await start({ ...wanted, ports, clusterIP: '10.96.0.2' });
  await server.clock.advance(2000);
  expect((await service()).metadata.uid).not.toBe(before[0]);
  expect((await service()).metadata.labels).toEqual({ component: 'apiserver', mine: 'yes' });
});

test('follows the agent to another address and port', async () => {
  await stop();
  const ports = [{ ...wanted.ports[0]!, targetPort: 7443 }];
  await start({ ...wanted, clusterIP: '10.96.0.2', address: '10.77.0.1', ports });
  await server.clock.advance(2000);
  expect(await shown()).toEqual({
    services: ['ClusterIP 10.96.0.2 443'],
    endpoints: [['10.77.0.1:7443']],
    slices: [['10.77.0.1:7443']],
  });
  await stop();
  await start({ ...wanted, clusterIP: '10.96.0.2', ports, address: undefined });
  await server.clock.advance(2000);
  expect(await shown()).toMatchObject({ endpoints: [undefined], slices: [undefined] });
  const made = await uids();
  await server.clock.advance(5000);
  expect(await uids()).toEqual(made);
});

test('waits for its address while another Service has it', async () => {
  const thief = {
    metadata: { namespace: 'default', name: 'thief' },
    spec: { clusterIP: '10.96.0.3', ports: [{ port: 1 }] },
  };
  await server.client.create(SERVICES, thief as Service);
  await stop();
  await start({ ...wanted, clusterIP: '10.96.0.3' });
  await server.clock.advance(3000);
  await expect(service()).rejects.toMatchObject({ reason: 'NotFound' });
  await server.client.delete(SERVICES, { namespace: 'default', name: 'thief' });
  await server.clock.advance(2000);
  expect(await shown()).toMatchObject({ services: ['ClusterIP 10.96.0.3 443'] });
});
