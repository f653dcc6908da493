import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../test/start-test-server.ts';
import type { Node, Service } from '../api/generated/types.ts';
import { NODES, SERVICES } from '../api/resources.ts';
import { silentLogger } from '../lib/logger.ts';
import { LoadBalancerController } from './load-balancer-controller.ts';

let server: TestServer;
let abort: AbortController;
let running: Promise<void>;

const start = (): void => {
  const { client, clock } = server;
  abort = new AbortController();
  running = new LoadBalancerController({ client, clock, logger: silentLogger }).run(abort.signal);
};
const stop = async (): Promise<void> => {
  abort.abort();
  await running;
};
beforeEach(async () => {
  server = await startTestServer();
  start();
});
afterEach(async () => {
  await stop();
  await server.close();
});

const service = (name: string, spec: Service['spec']): Service => ({
  metadata: { name, namespace: 'default' },
  spec: { selector: { app: 'a' }, ports: [{ port: 80 }], ...spec },
});
const settle = () => server.clock.advance(0);
const ingressOf = async (name: string) =>
  (await server.client.get(SERVICES, { namespace: 'default', name })).status?.loadBalancer?.ingress;
const createNode = () =>
  server.client.create(NODES, {
    metadata: { name: 'n1' },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.7' }] },
  } as Node);

test("a load balancer has the node's address, as soon as there is a node, until its type changes", async () => {
  await server.client.create(SERVICES, service('lb', { type: 'LoadBalancer' }));
  await settle();
  expect(await ingressOf('lb')).toBeUndefined();
  await createNode();
  await settle();
  expect(await ingressOf('lb')).toEqual([{ ip: '192.0.2.7', ipMode: 'VIP' }]);
  await server.client.patch(SERVICES, { namespace: 'default', name: 'lb' }, 'merge', { spec: { type: 'ClusterIP' } });
  await settle();
  expect(await ingressOf('lb')).toBeUndefined();
});

test('other Services, and those of another class, have none', async () => {
  await createNode();
  await server.client.create(SERVICES, service('plain', {}));
  const mine = [{ ip: '192.0.2.99' }];
  await server.client.create(SERVICES, service('theirs', { type: 'LoadBalancer', loadBalancerClass: 'x.example/y' }));
  const status = { loadBalancer: { ingress: mine } };
  const key = { namespace: 'default', name: 'theirs' };
  await server.client.patch(SERVICES, key, 'merge', { status }, { subresource: 'status' });
  await settle();
  expect(await ingressOf('plain')).toBeUndefined();
  expect(await ingressOf('theirs')).toMatchObject(mine);
});

test('a restart takes no address away', async () => {
  await createNode();
  await server.client.create(SERVICES, service('lb', { type: 'LoadBalancer' }));
  await settle();
  const read = () => server.client.get(SERVICES, { namespace: 'default', name: 'lb' });
  const { resourceVersion } = (await read()).metadata;
  await stop();
  start();
  await settle();
  expect((await read()).metadata.resourceVersion).toBe(resourceVersion);
});
