import { describe, expect, test } from 'vitest';
import { recordedAnswers, resourceOfPath, withoutServerMetadata } from '../../test/recorded-answers.ts';
import { decodeObject } from './decode.ts';
import { applyDefaults, defaultPullPolicy } from './defaults.ts';
import type { Namespace, Node, Pod, Service } from './generated/types.ts';
import { ENDPOINTS, ENDPOINTSLICES, NAMESPACES, NODES, PODS, SERVICES } from './resources.ts';

const created = recordedAnswers().filter(
  ({ method, code, path }) => method === 'POST' && code === 201 && resourceOfPath(path) !== undefined,
);

/** A recorded object without what admission and the registries add. */
// biome-ignore lint/suspicious/noExplicitAny: recorded JSON of many kinds
function withoutAdmission(kind: string, answer: any): unknown {
  const object = withoutServerMetadata(answer);
  delete object.metadata.namespace;
  if (object.metadata.generateName) delete object.metadata.name;
  if (kind === 'Pod') {
    const isAccess = ({ name }: { name: string }) => name.startsWith('kube-api-access-');
    for (const field of ['serviceAccountName', 'serviceAccount', 'tolerations', 'priority', 'preemptionPolicy']) {
      delete object.spec[field];
    }
    object.spec.volumes = object.spec.volumes.filter((volume: { name: string }) => !isAccess(volume));
    if (object.spec.volumes.length === 0) delete object.spec.volumes;
    for (const container of [...object.spec.containers, ...(object.spec.initContainers ?? [])]) {
      container.volumeMounts = container.volumeMounts.filter((mount: { name: string }) => !isAccess(mount));
      if (container.volumeMounts.length === 0) delete container.volumeMounts;
    }
    object.status = {};
  }
  if (kind === 'Service') {
    delete object.spec.clusterIPs;
    delete object.spec.ipFamilies;
    delete object.spec.ipFamilyPolicy;
    if (object.spec.clusterIP !== 'None') delete object.spec.clusterIP;
    for (const port of object.spec.ports ?? []) delete port.nodePort;
  }
  return object;
}

describe('recorded creations', () => {
  test.each(created.map((answer) => [answer.name, answer] as const))('%s', (_name, { path, body, answer }) => {
    const resource = resourceOfPath(path)!;
    const object = applyDefaults(resource, decodeObject(resource, body).object);
    expect(object).toEqual(withoutAdmission(resource.kind, answer));
  });

  test('doing it again changes nothing', () => {
    for (const { path, body } of created) {
      const resource = resourceOfPath(path)!;
      const once = applyDefaults(resource, decodeObject(resource, body).object);
      expect(applyDefaults(resource, structuredClone(once))).toEqual(once);
    }
    expect(created.length).toBeGreaterThan(10);
  });
});

const pod = (spec: object): Pod =>
  applyDefaults(PODS, decodeObject<Pod>(PODS, { metadata: { name: 'p' }, spec }).object);
const firstContainer = (fields: object) =>
  pod({ containers: [{ name: 'c', image: 'x:1', ...fields }] }).spec.containers[0]!;

test('ports of hand-made Endpoints and EndpointSlices are TCP', () => {
  const endpoints = applyDefaults(ENDPOINTS, {
    metadata: {},
    subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 1 }, { name: 'u', port: 2, protocol: 'UDP' }] }],
  });
  expect(endpoints.subsets![0]!.ports).toEqual([
    { port: 1, protocol: 'TCP' },
    { name: 'u', port: 2, protocol: 'UDP' },
  ]);
  const slice = applyDefaults(ENDPOINTSLICES, {
    metadata: {},
    addressType: 'IPv4',
    endpoints: [],
    ports: [{ port: 1 }, { name: 'u', protocol: 'UDP' }],
  });
  expect(slice.ports).toEqual([
    { name: '', port: 1, protocol: 'TCP' },
    { name: 'u', protocol: 'UDP' },
  ]);
});

test.each([
  ['nginx', 'Always'],
  ['nginx:latest', 'Always'],
  ['nginx:1.25', 'IfNotPresent'],
  ['localhost:5000/nginx', 'Always'],
  ['localhost:5000/nginx:1', 'IfNotPresent'],
  ['nginx@sha256:0123', 'IfNotPresent'],
  ['nginx:latest@sha256:0123', 'IfNotPresent'],
  ['', 'Always'],
])('image %j is pulled %s', (image, policy) => {
  expect(defaultPullPolicy(image)).toBe(policy);
});

describe('pods', () => {
  test('requests follow limits where there are none', () => {
    const { resources } = firstContainer({
      resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } },
    });
    expect(resources?.requests).toEqual({ cpu: '500m', memory: '1Gi' });
  });

  test('nothing finer than a thousandth', () => {
    expect(firstContainer({ resources: { limits: { cpu: '1u' } } }).resources?.limits).toEqual({ cpu: '1m' });
  });

  test('pod-level requests follow the containers, then the limits', () => {
    const { spec } = pod({
      containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: '1' } } }],
      resources: { limits: { cpu: '2', memory: '1Gi' } },
    });
    expect(spec.resources?.requests).toEqual({ cpu: '1', memory: '1Gi' });
  });

  test('host ports with hostNetwork', () => {
    const { spec } = pod({
      hostNetwork: true,
      containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 80 }] }],
    });
    expect(spec.containers[0]?.ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: 'TCP' }]);
  });

  test('both names of the service account', () => {
    expect(pod({ containers: [], serviceAccount: 'sa' }).spec).toMatchObject({
      serviceAccount: 'sa',
      serviceAccountName: 'sa',
    });
  });

  test('a volume without source is an emptyDir', () => {
    expect(pod({ containers: [], volumes: [{ name: 'v' }] }).spec.volumes).toEqual([{ name: 'v', emptyDir: {} }]);
  });

  test('hooks by HTTP, sidecars, token lifetimes', () => {
    const { spec } = pod({
      containers: [{ name: 'c', image: 'x', lifecycle: { preStop: { httpGet: { port: 80 } } } }],
      initContainers: [{ name: 'i', image: 'x', restartPolicy: 'Always', startupProbe: { exec: { command: ['a'] } } }],
      volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }],
    });
    expect(spec.containers[0]?.lifecycle?.preStop?.httpGet).toEqual({ path: '/', port: 80, scheme: 'HTTP' });
    expect(spec.initContainers?.[0]?.startupProbe).toMatchObject({ periodSeconds: 10, failureThreshold: 3 });
    expect(spec.volumes?.[0]?.projected?.sources?.[0]?.serviceAccountToken?.expirationSeconds).toBe(3600);
  });
});

test('services: load balancers and session affinity', () => {
  const service = decodeObject<Service>(SERVICES, {
    metadata: { name: 's' },
    spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP', ports: [{ port: 1, targetPort: 'web' }] },
  }).object;
  expect(applyDefaults(SERVICES, service).spec).toEqual({
    type: 'LoadBalancer',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
    ports: [{ port: 1, protocol: 'TCP', targetPort: 'web' }],
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    allocateLoadBalancerNodePorts: true,
  });
});

test.each([
  ['ClusterIP', ['192.0.2.9'], 'Cluster'],
  ['ClusterIP', [], undefined],
  ['NodePort', [], 'Cluster'],
  ['ExternalName', ['192.0.2.9'], undefined],
] as const)('services: the external policy of a %s with external addresses %j', (type, externalIPs, policy) => {
  const service: Service = { metadata: { name: 's' }, spec: { type, externalIPs: [...externalIPs] } };
  expect(applyDefaults(SERVICES, service).spec!.externalTrafficPolicy).toBe(policy);
});

test('namespaces: their name as a label', () => {
  expect(applyDefaults<Namespace>(NAMESPACES, { metadata: { name: 'n' } } as Namespace)).toEqual({
    metadata: { name: 'n', labels: { 'kubernetes.io/metadata.name': 'n' } },
    spec: {},
    status: { phase: 'Active' },
  });
});

test('nodes: all capacity is allocatable', () => {
  const node = { metadata: { name: 'n' }, spec: {}, status: { capacity: { cpu: '2' } } } as unknown as Node;
  expect(applyDefaults(NODES, node).status?.allocatable).toEqual({ cpu: '2' });
});
