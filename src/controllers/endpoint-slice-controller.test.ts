import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../test/start-test-server.ts';
import type { Endpoints, Pod, Service } from '../api/generated/types.ts';
import { ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES } from '../api/resources.ts';
import { silentLogger } from '../lib/logger.ts';
import { EndpointSliceController } from './endpoint-slice-controller.ts';

let server: TestServer;
let abort: AbortController;
let running: Promise<void>;
let told: string[];

const start = (): void => {
  const { client, clock } = server;
  const events = {
    record: (_: object, type: string, reason: string, message: string) => told.push(`${type} ${reason} ${message}`),
  };
  abort = new AbortController();
  running = new EndpointSliceController({ client, clock, logger: silentLogger, events }).run(abort.signal);
};
const stop = async (): Promise<void> => {
  abort.abort();
  await running;
};
beforeEach(async () => {
  told = [];
  server = await startTestServer();
  start();
});
afterEach(async () => {
  await stop();
  await server.close();
});

const namespace = 'default';
const settle = () => server.clock.advance(0);
const createService = (spec: Service['spec'] = {}) =>
  server.client.create(SERVICES, {
    metadata: { name: 's', namespace },
    spec: { selector: { app: 'a' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  } as Service);
const createPod = async (name: string, ip: string, ready = true): Promise<void> => {
  await server.client.create(PODS, {
    metadata: { name, namespace, labels: { app: 'a' } },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'x' }] },
  });
  await setReady(name, ip, ready);
};
const setReady = (name: string, ip: string, ready: boolean): Promise<Pod> => {
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions };
  return server.client.patch(PODS, { namespace, name }, 'merge', { status }, { subresource: 'status' });
};
const slices = async () => (await server.client.list(ENDPOINTSLICES, { namespace })).items;
/** Addresses, those that are not ready in brackets. */
const seen = async () =>
  (await slices()).map(({ endpoints }) =>
    (endpoints ?? []).map(({ addresses, conditions }) => (conditions?.ready ? addresses[0] : `(${addresses[0]})`)),
  );
/** The ready addresses, once what is written a little later is written. */
const endpointsOf = async () => {
  await server.clock.advance(20);
  return (await server.client.list(ENDPOINTS, { namespace })).items.map(({ subsets }) =>
    (subsets ?? []).flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip)),
  );
};

test('slices follow the pods without time passing, and Endpoints a little later', async () => {
  await createService();
  await settle();
  expect(await seen()).toEqual([[]]);
  expect(await endpointsOf()).toEqual([[]]);
  await createPod('p', '10.88.0.2', false);
  await settle();
  expect(await seen()).toEqual([['(10.88.0.2)']]);
  expect(await endpointsOf()).toEqual([[]]);
  await setReady('p', '10.88.0.2', true);
  await createPod('q', '10.88.0.3');
  await settle();
  expect(await seen()).toEqual([['10.88.0.2', '10.88.0.3']]);
  expect(await endpointsOf()).toEqual([['10.88.0.2', '10.88.0.3']]);
  expect((await slices())[0]!.metadata.name).toMatch(/^s-[a-z0-9]{5}$/);
  await server.client.delete(PODS, { namespace, name: 'p' });
  await settle();
  expect(await seen()).toEqual([['(10.88.0.2)', '10.88.0.3']]);
  expect(await endpointsOf()).toEqual([['10.88.0.3']]);
  await server.client.delete(PODS, { namespace, name: 'p' }, { gracePeriodSeconds: 0 });
  await settle();
  expect(await seen()).toEqual([['10.88.0.3']]);
});

test('a target port that no pod has is told once, and again when it was there in between', async () => {
  const ports = [{ port: 80, targetPort: 'web' }];
  await createService({ ports } as Service['spec']);
  await settle();
  expect(told).toEqual([]);
  await createPod('p', '10.88.0.2');
  await createPod('q', '10.88.0.3');
  await settle();
  const warning =
    'Warning TargetPortNotFound no selected pod has a container port named "web": what is sent to it goes nowhere';
  expect(told).toEqual([warning]);
  expect((await slices()).map((slice) => slice.ports ?? [])).toEqual([[]]);
  const patch = (targetPort: string | number) =>
    server.client.patch(SERVICES, { namespace, name: 's' }, 'json', [
      { op: 'replace', path: '/spec/ports/0/targetPort', value: targetPort },
    ]);
  await patch(8080);
  await settle();
  await patch('web');
  await settle();
  expect(told).toEqual([warning, warning]);
});

test('a pod that changes its labels changes Services, and a Service that changes its selector changes pods', async () => {
  await createService();
  await createPod('p', '10.88.0.2');
  await settle();
  const relabel = (app: string) =>
    server.client.patch(PODS, { namespace, name: 'p' }, 'merge', { metadata: { labels: { app } } });
  await relabel('b');
  await settle();
  expect(await seen()).toEqual([[]]);
  await server.client.patch(SERVICES, { namespace, name: 's' }, 'merge', { spec: { selector: { app: 'b' } } });
  await settle();
  expect(await seen()).toEqual([['10.88.0.2']]);
  await relabel('a');
  await settle();
  expect(await seen()).toEqual([[]]);
});

test('a Service without a selector any more keeps what its Endpoints say', async () => {
  await createService();
  await createPod('p', '10.88.0.2');
  await settle();
  expect(await endpointsOf()).toEqual([['10.88.0.2']]);
  await server.client.patch(SERVICES, { namespace, name: 's' }, 'json', [{ op: 'remove', path: '/spec/selector' }]);
  await server.client.delete(PODS, { namespace, name: 'p' }, { gracePeriodSeconds: 0 });
  await settle();
  expect(await seen()).toEqual([['10.88.0.2']]);
  expect(await endpointsOf()).toEqual([['10.88.0.2']]);
});

test('a Service takes its slices and Endpoints along', async () => {
  await createService();
  await createPod('p', '10.88.0.2');
  await settle();
  await server.client.delete(SERVICES, { namespace, name: 's' });
  await settle();
  expect(await seen()).toEqual([]);
  expect(await endpointsOf()).toEqual([]);
});

test('what happened while nobody looked is made up for', async () => {
  await createService();
  await createPod('p', '10.88.0.2');
  await settle();
  const name = (await slices())[0]?.metadata.name;
  await stop();
  await server.client.delete(PODS, { namespace, name: 'p' }, { gracePeriodSeconds: 0 });
  await createPod('q', '10.88.0.3');
  start();
  await settle();
  expect(await seen()).toEqual([['10.88.0.3']]);
  expect((await slices())[0]!.metadata.name).toBe(name);
  await stop();
  await server.client.delete(SERVICES, { namespace, name: 's' });
  start();
  await settle();
  expect(await seen()).toEqual([]);
  expect(await endpointsOf()).toEqual([]);
});

test('a slice that somebody removed comes back', async () => {
  await createService();
  await createPod('p', '10.88.0.2');
  await settle();
  await server.client.delete(ENDPOINTSLICES, { namespace, name: (await slices())[0]!.metadata.name! });
  await settle();
  expect(await seen()).toEqual([['10.88.0.2']]);
});

test('Endpoints written by hand stay, also before their Service, and are repeated in slices', async () => {
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 5432 }] }];
  await server.client.create(ENDPOINTS, { metadata: { name: 's', namespace }, subsets } as Endpoints);
  await settle();
  expect(await endpointsOf()).toEqual([['192.0.2.1']]);
  expect(await seen()).toEqual([]);
  await createService({ selector: undefined } as unknown as Service['spec']);
  await settle();
  expect(await seen()).toEqual([['192.0.2.1']]);
  expect((await slices())[0]!.metadata.labels).toMatchObject({
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
    'kubernetes.io/service-name': 's',
  });
});

test('Endpoints and slices go with their Service, whoever wrote them, also when it went while nobody looked', async () => {
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 5432 }] }];
  const byHand = (name: string, annotations = {}) =>
    server.client.create(ENDPOINTS, { metadata: { name, namespace, annotations }, subsets } as Endpoints);
  const names = async () => {
    await settle();
    return (await server.client.list(ENDPOINTS, { namespace })).items.map(({ metadata }) => metadata.name);
  };
  await byHand('s');
  await byHand('other');
  await createService({ selector: undefined } as unknown as Service['spec']);
  expect(await names()).toEqual(['other', 's']);
  await server.client.delete(SERVICES, { namespace, name: 's' });
  expect(await names()).toEqual(['other']);
  expect(await seen()).toEqual([]);
  // Not those that are written afterwards, for a Service to come.
  await byHand('s');
  expect(await names()).toEqual(['other', 's']);
  await byHand('election', { 'control-plane.alpha.kubernetes.io/leader': '{}' });
  await stop();
  start();
  expect(await names()).toEqual(['election']);
});

test("somebody else's slices are left alone", async () => {
  await createService({ selector: undefined } as unknown as Service['spec']);
  await server.client.create(ENDPOINTSLICES, {
    metadata: { name: 'mine', namespace, labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.9'], conditions: { ready: true } }],
    ports: [],
  });
  await settle();
  expect(await seen()).toEqual([['192.0.2.9']]);
});
