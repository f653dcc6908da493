import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../test/start-test-server.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import { EVENTS, type KubeObject, NODES, PODS, type Resource } from '../api/resources.ts';
import type { KubeClient, WatchOptions } from '../client/kube-client.ts';
import { silentLogger } from '../lib/logger.ts';
import { Scheduler } from './scheduler.ts';

let server: TestServer;
let abort: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  server = await startTestServer();
  abort = new AbortController();
  running = new Scheduler({ client: server.client, clock: server.clock, logger: silentLogger }).run(abort.signal);
});
afterEach(async () => {
  abort.abort();
  await running;
  await server.close();
});

const node = (spec: Node['spec'] = {}): Node => ({ metadata: { name: 'n1' }, spec });
const pod = (name: string, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
});
const settle = () => server.clock.advance(0);
const read = (name: string) => server.client.get(PODS, { namespace: 'default', name });
const events = async () =>
  (await server.client.list(EVENTS)).items.map((e) => `${e.type} ${e.reason} ${e.source?.component} ${e.message}`);

test('a pod gets the node without time passing, and says so', async () => {
  await server.client.create(NODES, node());
  await settle();
  await server.client.create(PODS, pod('p'));
  await settle();
  const placed = await read('p');
  expect(placed.spec.nodeName).toBe('n1');
  expect(placed.status?.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }]);
  expect(await events()).toEqual(['Normal Scheduled default-scheduler Successfully assigned default/p to n1']);
});

test('a pod that fits nowhere says why once, and is placed when a node comes', async () => {
  await server.client.create(PODS, pod('p'));
  await settle();
  await settle();
  expect((await read('p')).status?.conditions).toMatchObject([
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no nodes available to schedule pods' },
  ]);
  expect(await events()).toEqual(['Warning FailedScheduling default-scheduler no nodes available to schedule pods']);
  await server.client.create(NODES, node({ unschedulable: true }));
  await settle();
  expect(await events()).toHaveLength(2);
  await server.client.patch(NODES, { name: 'n1' }, 'merge', { spec: { unschedulable: null } });
  await settle();
  const placed = await read('p');
  expect(placed.spec.nodeName).toBe('n1');
  expect(placed.status?.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual(['PodScheduled True']);
});

test('a pod that fits nowhere says why once, also while the watch is behind', async () => {
  const { client, clock } = server;
  const behind: KubeClient = Object.assign(Object.create(client) as KubeClient, {
    async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions) {
      for await (const event of client.watch(resource, options)) if (event.type !== 'MODIFIED') yield event;
    },
  });
  abort.abort();
  await running;
  abort = new AbortController();
  running = new Scheduler({ client: behind, clock, logger: silentLogger }).run(abort.signal);
  await client.create(PODS, pod('p'));
  await settle();
  await settle();
  expect(await events()).toEqual(['Warning FailedScheduling default-scheduler no nodes available to schedule pods']);
});

test('a pod that chose its node itself is left alone', async () => {
  await server.client.create(NODES, node());
  await server.client.create(PODS, pod('p', { nodeName: 'other' }));
  await settle();
  expect((await read('p')).spec.nodeName).toBe('other');
  expect(await events()).toEqual([]);
});

test('what does not fit waits for room', async () => {
  const status = { allocatable: { cpu: '1' } } as Node['status'];
  await server.client.create(NODES, { ...node(), status } as Node);
  const containers = [{ name: 'c', image: 'x', resources: { requests: { cpu: '600m' } } }];
  // Both before the scheduler hears that the first one has its node.
  await Promise.all([
    server.client.create(PODS, pod('a', { containers })),
    server.client.create(PODS, pod('b', { containers })),
  ]);
  await settle();
  expect((await read('a')).spec.nodeName).toBe('n1');
  expect((await read('b')).spec.nodeName).toBeUndefined();
  expect(await events()).toContain(
    'Warning FailedScheduling default-scheduler 0/1 nodes are available: 1 Insufficient cpu.',
  );
  await server.client.delete(PODS, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 });
  await settle();
  expect((await read('b')).spec.nodeName).toBe('n1');
});
