import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service, ServiceSpec } from '../../../src/api/generated/types.ts';
import { ENDPOINTS, ENDPOINTSLICES, type KubeObject, NAMESPACES, SERVICES } from '../../../src/api/resources.ts';
import { EndpointSliceController } from '../../../src/controllers/endpoint-slice-controller.ts';
import { silentLogger } from '../../../src/lib/logger.ts';
import { recordedAnswer } from '../../recorded-answers.ts';
import { startTestServer, type TestServer } from '../../start-test-server.ts';

let server: TestServer;
let stopping: AbortController;
beforeEach(async () => {
  server = await startTestServer(Date.parse('2026-11-23T02:28:42Z'));
  stopping = new AbortController();
});
afterEach(async () => {
  stopping.abort();
  await server.close();
});

const key = { namespace: 'default', name: 's' };
const create = (spec: ServiceSpec, name = 's', namespace = 'default'): Promise<Service> =>
  server.client.create(SERVICES, { metadata: { name, namespace }, spec });
const patch = (spec: object): Promise<Service> => server.client.patch(SERVICES, key, 'merge', { spec });
const PORTS = [{ port: 80 }];

describe('what controllers make of the recorded Services is what was recorded', () => {
  const inShort = ({ metadata, ...rest }: KubeObject): object => {
    const { uid, resourceVersion, managedFields, ownerReferences, name = '', ...kept } = metadata;
    const owners = ownerReferences?.map(({ uid: _, ...owner }) => owner);
    const { apiVersion: _, kind: __, ...body } = rest;
    return { ...kept, name: name.replace(/-.{5}$/, '-XXXXX'), owners, body };
  };

  test.each([
    ['endpointslices real', ENDPOINTSLICES],
    ['endpoints', ENDPOINTS],
  ] as const)('%s', async (name, resource) => {
    await server.client.create(NAMESPACES, { metadata: { name: 'golden' }, spec: {} });
    for (const each of ['service', 'service nodeport', 'service headless', 'service external']) {
      const { body } = recordedAnswer(each);
      await create(body.spec, body.metadata.name, 'golden');
    }
    const { client, clock } = server;
    const events = { record: () => {} };
    void new EndpointSliceController({ client, clock, logger: silentLogger, events }).run(stopping.signal);
    await server.clock.advance(100);
    const { items } = await client.list<KubeObject>(resource, { namespace: 'golden' });
    expect(items.map(inShort)).toEqual(recordedAnswer(name).answer.items.map(inShort));
  });

  test('who asks for Endpoints is warned', async () => {
    const { headers } = await server.ask('/api/v1/namespaces/default/endpoints');
    expect([headers.warning]).toEqual(recordedAnswer('endpoints').warning);
    expect((await server.ask('/api/v1/namespaces/default/services')).headers.warning).toBeUndefined();
  });
});

test('a manifest written a second time keeps what was allocated', async () => {
  const { spec: first } = await create({ type: 'NodePort', ports: PORTS });
  const { spec: second } = await server.client.update(SERVICES, {
    metadata: key,
    spec: { type: 'NodePort', ports: PORTS },
  } as Service);
  expect(second).toEqual(first);
});

test('a Service that is deleted leaves its address and node port to others', async () => {
  const { spec } = await create({ type: 'NodePort', ports: PORTS });
  const { clusterIP, ports } = spec!;
  const same: ServiceSpec = { type: 'NodePort', clusterIP: clusterIP!, ports: ports! };
  await expect(create(same, 'other')).rejects.toThrow('provided IP is already allocated');
  await server.client.delete(SERVICES, key);
  expect((await create(same, 'other')).spec).toMatchObject({ clusterIP, ports });
});

test('a trial run takes nothing', async () => {
  const object = { metadata: key, spec: { type: 'NodePort' as const, ports: [{ port: 80, nodePort: 30001 }] } };
  const tried = await server.client.create(SERVICES, object, { dryRun: true });
  expect(tried.spec?.clusterIP).toMatch(/^10\.96\./);
  await create(object.spec, 'real');
  await expect(server.client.create(SERVICES, object, { dryRun: true })).rejects.toThrow('already allocated');
});

describe('changes of type', () => {
  test('ClusterIP to NodePort and back: a node port comes and goes, the address stays', async () => {
    const { spec: before } = await create({ ports: PORTS });
    const { spec: wide } = await patch({ type: 'NodePort' });
    expect(wide).toMatchObject({ clusterIP: before!.clusterIP, externalTrafficPolicy: 'Cluster' });
    expect(wide!.ports![0]!.nodePort).toBeGreaterThanOrEqual(30000);
    const { spec: after } = await patch({ type: 'ClusterIP' });
    expect(after).toEqual(before);
    await create({ type: 'NodePort', ports: [{ port: 80, nodePort: wide!.ports![0]!.nodePort! }] }, 'other');
  });

  test('ClusterIP to ExternalName and back: the address goes, and another comes', async () => {
    const { spec: before } = await create({ ports: PORTS });
    const { spec: external } = await patch({ type: 'ExternalName', externalName: 'example.com' });
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
      expect(external).not.toHaveProperty(field);
    }
    await create({ ports: PORTS, clusterIP: before!.clusterIP! }, 'other');
    const { spec: after } = await patch({ type: 'ClusterIP', externalName: null });
    expect(after!.clusterIP).toMatch(/^10\.96\./);
    expect(after!.clusterIP).not.toBe(before!.clusterIP);
  });

  test('LoadBalancer to ClusterIP: what only load balancers have goes', async () => {
    await create({ type: 'LoadBalancer', ports: PORTS, externalTrafficPolicy: 'Local' });
    const { spec } = await patch({ type: 'ClusterIP' });
    for (const field of ['allocateLoadBalancerNodePorts', 'externalTrafficPolicy', 'healthCheckNodePort']) {
      expect(spec).not.toHaveProperty(field);
    }
    expect(spec!.ports).toEqual([{ port: 80, protocol: 'TCP', targetPort: 80 }]);
  });

  test('a LoadBalancer gives its node ports back when it wants none', async () => {
    const { spec: before } = await create({ type: 'LoadBalancer', ports: PORTS });
    const without = { type: 'LoadBalancer' as const, allocateLoadBalancerNodePorts: false };
    // As upstream: a request that still names them keeps them.
    expect((await patch(without)).spec!.ports).toEqual(before!.ports);
    const { spec } = await server.client.update(SERVICES, {
      metadata: key,
      spec: { ...without, ports: PORTS },
    } as Service);
    expect(spec!.ports).toEqual([{ port: 80, protocol: 'TCP', targetPort: 80 }]);
  });

  test('a ClusterIP with external addresses has a policy for what comes there; it goes with them', async () => {
    const { spec } = await create({ ports: PORTS, externalIPs: ['192.0.2.9'] });
    expect(spec!.externalTrafficPolicy).toBe('Cluster');
    expect((await patch({ externalIPs: null })).spec).not.toHaveProperty('externalTrafficPolicy');
  });

  test('a node port that is written does not fit a ClusterIP', async () => {
    await create({ ports: PORTS });
    await expect(patch({ ports: [{ port: 80, nodePort: 30001 }] })).rejects.toThrow(
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    );
  });

  test('a port more gets its own node port', async () => {
    const { spec: before } = await create({ type: 'NodePort', ports: [{ name: 'a', port: 80 }] });
    const { spec } = await patch({
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ],
    });
    const [a, b] = spec!.ports!.map(({ nodePort }) => nodePort);
    expect(a).toBe(before!.ports![0]!.nodePort);
    expect(b).toBeGreaterThanOrEqual(30000);
    expect(b).not.toBe(a);
  });
});

test('the status is written on its own, and the generation of a slice counts its contents', async () => {
  const service = await create({ type: 'LoadBalancer', ports: PORTS });
  const loadBalancer = { ingress: [{ ip: '192.0.2.1' }] };
  const written = await server.client.update(
    SERVICES,
    { ...service, spec: {}, status: { loadBalancer } },
    { subresource: 'status' },
  );
  expect(written).toMatchObject({ spec: service.spec, status: { loadBalancer } });
  const slice = { metadata: { ...key }, addressType: 'IPv4' as const, endpoints: [], ports: [] };
  const made = await server.client.create(ENDPOINTSLICES, slice);
  const labelled = await server.client.patch(ENDPOINTSLICES, key, 'merge', { metadata: { labels: { a: 'b' } } });
  const filled = await server.client.patch(ENDPOINTSLICES, key, 'merge', { endpoints: [{ addresses: ['192.0.2.1'] }] });
  expect([made, labelled, filled].map(({ metadata }) => metadata.generation)).toEqual([1, 1, 2]);
});

test('tables of Services, Endpoints and slices', async () => {
  const table = async (path: string): Promise<unknown[]> => {
    const { text } = await server.ask(path, { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
    return JSON.parse(text).rows.map((row: { cells: unknown }) => row.cells);
  };
  const { spec } = await create({
    type: 'LoadBalancer',
    ports: [{ port: 80, nodePort: 30001 }],
    selector: { b: '2', a: '1' },
  });
  expect(await table('/api/v1/services')).toEqual([
    ['s', 'LoadBalancer', spec!.clusterIP, '<pending>', '80:30001/TCP', '0s', 'a=1,b=2'],
  ]);
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'lb.example.com' }] } };
  await server.client.patch(SERVICES, key, 'merge', { status }, { subresource: 'status' });
  await patch({ externalIPs: ['192.0.2.9'] });
  expect(await table('/api/v1/services')).toMatchObject([{ 3: '192.0.2.1,lb.example.com,192.0.2.9' }]);
  const addresses = ['1', '2', '3', '4', '5'].map((n) => `192.0.2.${n}`);
  await server.client.create(ENDPOINTSLICES, {
    metadata: key,
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports: [{ name: 'a', port: 80 }, { name: 'b' }],
  });
  await server.client.create(ENDPOINTS, {
    metadata: key,
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports: [{ port: 80 }] }],
  });
  await server.client.create(ENDPOINTS, { metadata: { ...key, name: 'z' } });
  expect(await table('/apis/discovery.k8s.io/v1/endpointslices')).toEqual([
    ['s', 'IPv4', '80,*', '192.0.2.1,192.0.2.2,192.0.2.3 + 2 more...', '0s'],
  ]);
  expect(await table('/api/v1/endpoints')).toEqual([
    ['s', '192.0.2.1:80,192.0.2.2:80,192.0.2.3:80 + 2 more...', '0s'],
    ['z', '<none>', '0s'],
  ]);
});

test('what the proxy to a Service says when it has nowhere to go', async () => {
  await create({
    ports: [
      { name: 'a', port: 80 },
      { name: 'b', port: 81 },
    ],
  });
  const ask = async (name: string): Promise<[number, string]> => {
    const { code, text } = await server.ask(`/api/v1/namespaces/default/services/${name}/proxy/x`);
    return [code, JSON.parse(text).message];
  };
  expect(await ask('missing:80')).toEqual([404, 'services "missing" not found']);
  expect(await ask('s')).toEqual([503, 'no service port "" found for service "s"']);
  expect(await ask('s:c')).toEqual([503, 'no service port "c" found for service "s"']);
  expect(await ask('http:s:b')).toEqual([503, 'no endpoints available for service "s"']);
});
