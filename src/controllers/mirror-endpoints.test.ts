import { expect, test } from 'vitest';
import type { EndpointSlice, Endpoints } from '../api/generated/types.ts';
import { isMirrored, mirrorEndpoints } from './mirror-endpoints.ts';

const endpoints = (subsets: Endpoints['subsets'], metadata: Partial<Endpoints['metadata']> = {}): Endpoints => ({
  metadata: { name: 'db', namespace: 'n', uid: 'u', ...metadata },
  subsets: subsets!,
});
const named = (slices: readonly EndpointSlice[]): EndpointSlice[] =>
  slices.map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: `db-${i}` } }));

test('a subset becomes a slice, with its owner, labels and annotations', () => {
  const given = endpoints(
    [
      {
        addresses: [{ ip: '192.0.2.1', hostname: 'one', nodeName: 'n1' }],
        notReadyAddresses: [{ ip: '192.0.2.2' }],
        ports: [{ name: 'sql', port: 3306, protocol: 'TCP' }],
      },
    ],
    {
      labels: { tier: 'db' },
      annotations: { team: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    },
  );
  expect(mirrorEndpoints(given, [])).toEqual({
    create: [
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          generateName: 'db-',
          namespace: 'n',
          labels: {
            tier: 'db',
            'kubernetes.io/service-name': 'db',
            'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
          },
          annotations: { team: 'x' },
          ownerReferences: [
            { apiVersion: 'v1', kind: 'Endpoints', name: 'db', uid: 'u', controller: true, blockOwnerDeletion: true },
          ],
        },
        addressType: 'IPv4',
        endpoints: [
          { addresses: ['192.0.2.1'], conditions: { ready: true }, hostname: 'one', nodeName: 'n1' },
          { addresses: ['192.0.2.2'], conditions: { ready: false } },
        ],
        ports: [{ name: 'sql', port: 3306, protocol: 'TCP' }],
      },
    ],
    update: [],
    delete: [],
  });
});

test('families and sets of ports have slices of their own; subsets with the same ports share one', () => {
  const ports = [{ port: 80, protocol: 'TCP' as const }];
  const { create } = mirrorEndpoints(
    endpoints([
      { addresses: [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }], ports },
      { addresses: [{ ip: '192.0.2.2' }], ports },
      { addresses: [{ ip: '192.0.2.3' }], ports: [{ port: 81, protocol: 'TCP' }] },
    ]),
    [],
  );
  const short = create.map((slice) => [
    slice.addressType,
    slice.ports![0]!.port,
    slice.endpoints!.flatMap((e) => e.addresses),
  ]);
  expect(short).toEqual([
    ['IPv4', 80, ['192.0.2.1', '192.0.2.2']],
    ['IPv6', 80, ['2001:db8::1']],
    ['IPv4', 81, ['192.0.2.3']],
  ]);
});

test('what is the same is not written again; what is gone goes', () => {
  const before = endpoints([{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80, protocol: 'TCP' }] }]);
  const slices = named(mirrorEndpoints(before, []).create);
  expect(mirrorEndpoints(before, slices)).toEqual({ create: [], update: [], delete: [] });
  expect(mirrorEndpoints(endpoints([]), slices)).toEqual({ create: [], update: [], delete: slices });
  const relabelled = endpoints(before.subsets, { labels: { a: 'b' } });
  expect(mirrorEndpoints(relabelled, slices).update.map(({ metadata }) => metadata.labels!.a)).toEqual(['b']);
});

test.each([
  [{}, true],
  [{ labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }, false],
  [{ annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } }, false],
])('with %j mirrored: %s', (metadata, mirrored) => {
  expect(isMirrored(endpoints([], metadata))).toBe(mirrored);
});
