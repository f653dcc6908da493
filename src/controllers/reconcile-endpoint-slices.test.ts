import { expect, test } from 'vitest';
import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import { reconcileEndpointSlices, sliceLabels, slicePrefix } from './reconcile-endpoint-slices.ts';

const service = (spec: Service['spec'] = {}, metadata: Partial<Service['metadata']> = {}): Service => ({
  metadata: { name: 's', namespace: 'ns', uid: 'service-uid', ...metadata },
  spec: { clusterIP: '10.96.0.9', selector: { app: 'a' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});
interface PodFacts {
  readonly name?: string;
  readonly ip?: string;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly deleted?: boolean;
  readonly labels?: Record<string, string>;
  readonly spec?: Partial<Pod['spec']>;
}
const pod = (facts: PodFacts = {}): Pod => {
  const { name = 'p', ip = '10.88.0.2', ready = true, phase = 'Running', deleted, labels = { app: 'a' }, spec } = facts;
  return {
    metadata: {
      name,
      namespace: 'ns',
      uid: `${name}-uid`,
      labels,
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'c', image: 'x' }], nodeName: 'n1', ...spec },
    status: {
      phase,
      ...(ip ? { podIP: ip, podIPs: [{ ip }] } : {}),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  } as Pod;
};
const named = (number: number): Partial<Pod['spec']> => ({
  containers: [{ name: 'c', image: 'x', ports: [{ name: 'web', containerPort: number }] }],
});
const PORTS = [{ name: '', protocol: 'TCP', port: 8080 }];
/** A slice as the API server keeps it. */
const kept = (slice: EndpointSlice, name = 's-abcde'): EndpointSlice => ({
  ...slice,
  metadata: { ...slice.metadata, name, resourceVersion: '1' },
});
const created = (given: Service, pods: readonly Pod[]): EndpointSlice =>
  reconcileEndpointSlices(given, pods, []).create[0]!;

test('a ready pod', () => {
  expect(reconcileEndpointSlices(service({}, { labels: { team: 't' } }), [pod()], [])).toEqual({
    create: [
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          generateName: 's-',
          namespace: 'ns',
          labels: {
            team: 't',
            'kubernetes.io/service-name': 's',
            'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
          },
          annotations: {},
          ownerReferences: [
            {
              apiVersion: 'v1',
              kind: 'Service',
              name: 's',
              uid: 'service-uid',
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        },
        addressType: 'IPv4',
        endpoints: [
          {
            addresses: ['10.88.0.2'],
            conditions: { ready: true, serving: true, terminating: false },
            targetRef: { kind: 'Pod', namespace: 'ns', name: 'p', uid: 'p-uid' },
            nodeName: 'n1',
          },
        ],
        ports: PORTS,
      },
    ],
    update: [],
    delete: [],
  });
});

test.each<[string, PodFacts, Service['spec'], object]>([
  ['not ready', { ready: false }, {}, { ready: false, serving: false, terminating: false }],
  ['being deleted', { deleted: true }, {}, { ready: false, serving: true, terminating: true }],
  [
    'being deleted, not ready',
    { deleted: true, ready: false },
    {},
    { ready: false, serving: false, terminating: true },
  ],
  [
    'not ready, but published',
    { ready: false },
    { publishNotReadyAddresses: true },
    { ready: true, serving: false, terminating: false },
  ],
  [
    'being deleted, but published',
    { deleted: true, ready: false },
    { publishNotReadyAddresses: true },
    { ready: true, serving: false, terminating: true },
  ],
])('conditions: %s', (_, facts, spec, conditions) => {
  expect(created(service(spec), [pod(facts)]).endpoints).toMatchObject([{ conditions }]);
});

test.each<[string, PodFacts]>([
  ['without an address', { ip: '' }],
  ['that succeeded', { phase: 'Succeeded' }],
  ['that failed', { phase: 'Failed' }],
  ['with other labels', { labels: { app: 'b' } }],
])('a pod %s is left out, and an empty slice stands for the Service', (_, facts) => {
  const { create } = reconcileEndpointSlices(service(), [pod(facts)], []);
  expect(create).toMatchObject([{ endpoints: [], ports: [] }]);
  expect(reconcileEndpointSlices(service(), [pod(facts)], [kept(create[0]!)])).toEqual({
    create: [],
    update: [],
    delete: [],
  });
});

test('a named port is looked up in each pod: other numbers make other slices, an unknown one is left out', () => {
  const pods = [
    pod({ name: 'a', ip: '10.88.0.2', spec: named(8080) }),
    pod({ name: 'b', ip: '10.88.0.3', spec: named(9090) }),
    pod({ name: 'c', ip: '10.88.0.4', spec: named(8080) }),
    pod({ name: 'd', ip: '10.88.0.5' }),
  ];
  const ports: Service['spec'] = { ports: [{ name: 'http', port: 80, targetPort: 'web', appProtocol: 'h2c' }] };
  const { create } = reconcileEndpointSlices(service(ports), pods, []);
  expect(create.map((slice) => [slice.ports, slice.endpoints?.map((e) => e.targetRef?.name)])).toEqual([
    [[{ name: 'http', protocol: 'TCP', port: 8080, appProtocol: 'h2c' }], ['a', 'c']],
    [[{ name: 'http', protocol: 'TCP', port: 9090, appProtocol: 'h2c' }], ['b']],
    [[], ['d']],
  ]);
});

test('a headless Service says so, and names the pods that ask for it', () => {
  const spec = { hostname: 'web-0', subdomain: 's' };
  const slice = created(service({ clusterIP: 'None' }), [pod({ spec })]);
  expect(slice.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
  expect(slice.endpoints?.[0]?.hostname).toBe('web-0');
  expect(created(service(), [pod({ spec: { ...spec, subdomain: 'other' } })]).endpoints?.[0]).not.toHaveProperty(
    'hostname',
  );
});

test('what is as it should be is not written; a change is an update of the same slice', () => {
  const first = kept(created(service(), [pod()]));
  expect(reconcileEndpointSlices(service(), [pod()], [first])).toEqual({ create: [], update: [], delete: [] });
  const changed = reconcileEndpointSlices(service(), [pod({ ready: false })], [first], '2026-01-02T00:00:00Z');
  expect(changed).toMatchObject({
    create: [],
    update: [
      {
        metadata: {
          name: 's-abcde',
          resourceVersion: '1',
          annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-02T00:00:00Z' },
        },
        endpoints: [{ conditions: { ready: false } }],
      },
    ],
    delete: [],
  });
});

test('the slice of the first endpoint is the one that stood for none', () => {
  const empty = kept(created(service(), []));
  const plan = reconcileEndpointSlices(service(), [pod()], [empty]);
  expect(plan).toMatchObject({ create: [], update: [{ metadata: { name: 's-abcde' }, ports: PORTS }], delete: [] });
});

test('a slice has at most 100 endpoints, and those that stay do not move', () => {
  const pods = Array.from({ length: 150 }, (_, i) => pod({ name: `p${i}`, ip: `10.88.1.${i}` }));
  const { create } = reconcileEndpointSlices(service(), pods, []);
  expect(create.map(({ endpoints }) => endpoints?.length)).toEqual([100, 50]);
  const slices = create.map((slice, i) => kept(slice, `s-${i}`));
  const { update, ...rest } = reconcileEndpointSlices(service(), pods.slice(1), slices);
  expect(update.map(({ metadata, endpoints }) => [metadata.name, endpoints?.length])).toEqual([['s-0', 99]]);
  expect(rest).toEqual({ create: [], delete: [] });
});

test('labels: the reserved ones are not copied', () => {
  expect(sliceLabels({ a: 'b', 'kubernetes.io/service-name': 'x' }, 's', 'me', false)).toEqual({
    a: 'b',
    'kubernetes.io/service-name': 's',
    'endpointslice.kubernetes.io/managed-by': 'me',
  });
});

test('the prefix of a name stays within the limit', () => {
  expect(slicePrefix('s')).toBe('s-');
  expect(slicePrefix('s'.repeat(253))).toBe('s'.repeat(253));
});
