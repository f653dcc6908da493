import { expect, test } from 'vitest';
import type { Endpoints, Pod, Service } from '../api/generated/types.ts';
import { reconcileEndpoints } from './reconcile-endpoints.ts';

const service = (spec: Service['spec'] = {}, labels?: Record<string, string>): Service => ({
  metadata: { name: 's', namespace: 'ns', uid: 'u', ...(labels && { labels }) },
  spec: { clusterIP: '10.96.0.9', selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'web' }], ...spec },
});
const pod = (name: string, ip: string, { ready = true, deleted = false, port = 8080 } = {}): Pod => ({
  metadata: {
    name,
    namespace: 'ns',
    uid: `${name}-uid`,
    labels: { app: 'a' },
    ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
  },
  spec: {
    containers: [{ name: 'c', image: 'x', ports: [{ name: 'web', containerPort: port }] }],
    nodeName: 'n1',
  },
  status: {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  },
});
const names = (endpoints: Endpoints | undefined) =>
  (endpoints?.subsets ?? []).map(({ addresses = [], notReadyAddresses = [], ports = [] }) => ({
    ready: addresses.map(({ targetRef }) => targetRef?.name),
    notReady: notReadyAddresses.map(({ targetRef }) => targetRef?.name),
    ports: ports.map(({ port }) => port),
  }));

test('a pod, as it is written', () => {
  expect(reconcileEndpoints(service({}, { team: 't' }), [pod('p', '10.88.0.2')], undefined, 'T')).toEqual({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name: 's',
      namespace: 'ns',
      labels: { team: 't', 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': 'T' },
    },
    subsets: [
      {
        addresses: [
          {
            ip: '10.88.0.2',
            nodeName: 'n1',
            targetRef: { kind: 'Pod', namespace: 'ns', name: 'p', uid: 'p-uid' },
          },
        ],
        ports: [{ port: 8080, protocol: 'TCP' }],
      },
    ],
  });
});

test('ready and not, and other ports apart', () => {
  const pods = [
    pod('c', '10.88.0.4', { ready: false }),
    pod('b', '10.88.0.3'),
    pod('a', '10.88.0.2'),
    pod('d', '10.88.0.5', { port: 9090 }),
    pod('e', '10.88.0.6', { deleted: true }),
  ];
  expect(names(reconcileEndpoints(service(), pods, undefined))).toEqual([
    { ready: ['a', 'b'], notReady: ['c'], ports: [8080] },
    { ready: ['d'], notReady: [], ports: [9090] },
  ]);
  expect(names(reconcileEndpoints(service({ publishNotReadyAddresses: true }), pods, undefined))).toEqual([
    { ready: ['a', 'b', 'c', 'e'], notReady: [], ports: [8080] },
    { ready: ['d'], notReady: [], ports: [9090] },
  ]);
});

test('without pods there is an object all the same', () => {
  const wanted = reconcileEndpoints(service({ clusterIP: 'None' }), [], undefined);
  expect(wanted).not.toHaveProperty('subsets');
  expect(wanted?.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
});

test('what is as it should be is not written, in whatever order pods are told', () => {
  const pods = [pod('a', '10.88.0.2'), pod('b', '10.88.0.3')];
  const first = reconcileEndpoints(service(), pods, undefined)!;
  expect(reconcileEndpoints(service(), pods.toReversed(), first)).toBeUndefined();
  const kept = { ...first, metadata: { ...first.metadata, resourceVersion: '7' } };
  const next = reconcileEndpoints(service(), pods.slice(1), kept);
  expect(next?.metadata.resourceVersion).toBe('7');
  expect(names(next)).toEqual([{ ready: ['b'], notReady: [], ports: [8080] }]);
});

test('a pod without any of the ports is left out, unless the Service has none', () => {
  const pods = [pod('p', '10.88.0.2')];
  expect(names(reconcileEndpoints(service({ ports: [{ port: 80, targetPort: 'other' }] }), pods, undefined))).toEqual(
    [],
  );
  expect(names(reconcileEndpoints(service({ clusterIP: 'None', ports: [] }), pods, undefined))).toEqual([
    { ready: ['p'], notReady: [], ports: [] },
  ]);
});
