import { describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice, Pod, Service, ServiceSpec } from '../api/generated/types.ts';
import { ENDPOINTSLICES, type KubeObject, NAMESPACES, PODS, type Resource, SERVICES } from '../api/resources.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import { Informer } from '../client/informer.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { type ClusterState, watchedState } from './cluster-state.ts';
import { lookUp } from './look-up.ts';
import { CLASS_IN, type ResourceRecord, TYPE } from './message.ts';

const zone = { domain: 'cluster.local', serverAddress: '10.96.0.10' };
const named = <T extends object>(name: string, rest: T) => ({ metadata: { name, namespace: 'shop' }, ...rest });
const service = (name: string, spec: ServiceSpec): Service => named(name, { spec });
const slice = (of: string, endpoints: Endpoint[], more: Partial<EndpointSlice> = {}): EndpointSlice => ({
  metadata: { name: `${of}-x1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  endpoints,
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  ...more,
});
const pod = (name: string, ip: string, phase = 'Running'): Pod =>
  named(name, { spec: { containers: [] }, status: { phase, podIP: ip, podIPs: [{ ip }] } }) as Pod;

/** The cluster of the tables below. */
async function cluster(): Promise<{ state: ClusterState; client: FakeKubeClient; settle: () => Promise<void> }> {
  const clock = new FakeClock();
  const client = new FakeKubeClient(clock);
  const objects: [Resource, KubeObject[]][] = [
    [NAMESPACES, [{ metadata: { name: 'shop' } }]],
    [
      SERVICES,
      [
        service('web', {
          clusterIP: '10.96.0.7',
          clusterIPs: ['10.96.0.7'],
          ports: [{ name: 'http', port: 80 }, { name: 'stats', port: 81, protocol: 'UDP' }, { port: 82 }],
        }),
        service('dual', { clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8', 'fd00::8'], ports: [] }),
        service('db', { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] }),
        service('empty', { clusterIP: 'None' }),
        service('old', { type: 'ExternalName', externalName: 'www.example.com.' }),
      ],
    ],
    [
      ENDPOINTSLICES,
      [
        slice('web', [{ addresses: ['10.88.0.9'] }]),
        slice('db', [
          { addresses: ['10.88.0.2'], hostname: 'db-0', conditions: { ready: true } },
          { addresses: ['10.88.0.3'] },
          { addresses: ['10.88.0.4'], hostname: 'db-2', conditions: { ready: false, serving: true } },
        ]),
        slice('empty', [{ addresses: ['10.88.0.5'], conditions: { ready: false } }]),
      ],
    ],
    [PODS, [pod('a', '10.88.0.2'), pod('done', '10.88.0.6', 'Succeeded')]],
  ];
  for (const [resource, list] of objects) for (const object of list) await client.create(resource, object);
  const informer = <T extends KubeObject>(resource: Resource<T>): Informer<T> =>
    new Informer({ client, resource, clock, logger: silentLogger });
  const informers = {
    namespaces: informer(NAMESPACES),
    services: informer(SERVICES),
    endpointSlices: informer(ENDPOINTSLICES),
    pods: informer(PODS),
  };
  const state = watchedState(informers);
  for (const each of Object.values(informers)) void each.run(new AbortController().signal);
  await clock.advance(0);
  return { state, client, settle: () => clock.advance(0) };
}
const { state } = await cluster();

function shown({ name, type, data, ttl }: ResourceRecord): string {
  const words = data.map((part) => {
    if (typeof part === 'string') return part;
    if (type === TYPE.A) return part.join('.');
    if (type === TYPE.SRV) return [0, 2, 4].map((at) => part.readUInt16BE(at)).join(' ');
    return type === TYPE.TXT ? part.toString('latin1', 1) : part.toString('hex');
  });
  const typeName = Object.entries(TYPE).find(([, number]) => number === type)?.[0];
  return `${name} ${ttl} ${typeName} ${words.join(' ')}`;
}
function ask(name: string, type: keyof typeof TYPE, at = state): string[] {
  const found = lookUp({ name, type: TYPE[type], class: CLASS_IN }, zone, at);
  if (found.kind === 'alias') return [shown(found.alias)];
  return found.kind === 'records' ? found.answers.map(shown) : [found.kind];
}
const dbNode = '10-88-0-3.db.shop.svc.cluster.local';

test.each<[string, keyof typeof TYPE, string[]]>([
  ['dns-version.cluster.local', 'TXT', ['dns-version.cluster.local 5 TXT 1.1.0']],
  ['dns-version.cluster.local', 'A', ['no-data']],
  ['x.dns-version.cluster.local', 'TXT', ['no-such-name']],
  // A Service with a cluster IP.
  ['web.shop.svc.cluster.local', 'A', ['web.shop.svc.cluster.local 5 A 10.96.0.7']],
  ['WEB.Shop.svc.CLUSTER.local', 'A', ['web.shop.svc.cluster.local 5 A 10.96.0.7']],
  ['web.shop.svc.cluster.local', 'ANY', ['web.shop.svc.cluster.local 5 A 10.96.0.7']],
  ['web.shop.svc.cluster.local', 'AAAA', ['no-data']],
  [
    'web.shop.svc.cluster.local',
    'SRV',
    [
      'web.shop.svc.cluster.local 5 SRV 0 33 80 web.shop.svc.cluster.local',
      'web.shop.svc.cluster.local 5 SRV 0 33 81 web.shop.svc.cluster.local',
      'web.shop.svc.cluster.local 5 SRV 0 33 82 web.shop.svc.cluster.local',
    ],
  ],
  ['dual.shop.svc.cluster.local', 'SRV', ['no-data']],
  ['_._tcp.web.shop.svc.cluster.local', 'SRV', ['no-such-name']],
  ['dual.shop.svc.cluster.local', 'AAAA', ['dual.shop.svc.cluster.local 5 AAAA fd000000000000000000000000000008']],
  [
    '_http._tcp.web.shop.svc.cluster.local',
    'SRV',
    ['_http._tcp.web.shop.svc.cluster.local 5 SRV 0 100 80 web.shop.svc.cluster.local'],
  ],
  [
    '_stats._udp.web.shop.svc.cluster.local',
    'SRV',
    ['_stats._udp.web.shop.svc.cluster.local 5 SRV 0 100 81 web.shop.svc.cluster.local'],
  ],
  ['_stats._tcp.web.shop.svc.cluster.local', 'SRV', ['no-such-name']],
  ['_http._tcp.web.shop.svc.cluster.local', 'A', ['no-data']],
  ['_tcp.web.shop.svc.cluster.local', 'SRV', ['no-data']],
  ['_sctp.web.shop.svc.cluster.local', 'SRV', ['no-such-name']],
  ['7.0.96.10.in-addr.arpa', 'PTR', ['7.0.96.10.in-addr.arpa 5 PTR web.shop.svc.cluster.local']],
  ['7.0.96.10.in-addr.arpa', 'TXT', ['no-data']],
  // A headless one: its ready endpoints.
  [
    'db.shop.svc.cluster.local',
    'A',
    ['db.shop.svc.cluster.local 5 A 10.88.0.2', 'db.shop.svc.cluster.local 5 A 10.88.0.3'],
  ],
  ['db.shop.svc.cluster.local', 'AAAA', ['no-data']],
  [
    'db.shop.svc.cluster.local',
    'SRV',
    [
      'db.shop.svc.cluster.local 5 SRV 0 50 8080 db-0.db.shop.svc.cluster.local',
      `db.shop.svc.cluster.local 5 SRV 0 50 8080 ${dbNode}`,
    ],
  ],
  ['empty.shop.svc.cluster.local', 'SRV', ['no-such-name']],
  [
    'db-0.db.shop.svc.cluster.local',
    'SRV',
    ['db-0.db.shop.svc.cluster.local 5 SRV 0 100 8080 db-0.db.shop.svc.cluster.local'],
  ],
  ['db-0.db.shop.svc.cluster.local', 'A', ['db-0.db.shop.svc.cluster.local 5 A 10.88.0.2']],
  ['db-0.db.shop.svc.cluster.local', 'AAAA', ['no-data']],
  [dbNode, 'A', [`${dbNode} 5 A 10.88.0.3`]],
  ['db-2.db.shop.svc.cluster.local', 'A', ['no-such-name']],
  [
    '_http._tcp.db.shop.svc.cluster.local',
    'SRV',
    [
      '_http._tcp.db.shop.svc.cluster.local 5 SRV 0 50 8080 db-0.db.shop.svc.cluster.local',
      `_http._tcp.db.shop.svc.cluster.local 5 SRV 0 50 8080 ${dbNode}`,
    ],
  ],
  ['2.0.88.10.in-addr.arpa', 'PTR', ['2.0.88.10.in-addr.arpa 5 PTR db-0.db.shop.svc.cluster.local']],
  ['3.0.88.10.in-addr.arpa', 'PTR', [`3.0.88.10.in-addr.arpa 5 PTR ${dbNode}`]],
  ['empty.shop.svc.cluster.local', 'A', ['no-such-name']],
  // Addresses without a name here: not ready, and of a Service that is not headless.
  ['4.0.88.10.in-addr.arpa', 'PTR', ['not-ours']],
  ['9.0.88.10.in-addr.arpa', 'PTR', ['not-ours']],
  ['88.10.in-addr.arpa', 'PTR', ['not-ours']],
  ['8.0.0.0.ip6.arpa', 'PTR', ['not-ours']],
  // Another name for something outside.
  ['old.shop.svc.cluster.local', 'A', ['old.shop.svc.cluster.local 5 CNAME www.example.com']],
  ['old.shop.svc.cluster.local', 'CNAME', ['old.shop.svc.cluster.local 5 CNAME www.example.com']],
  ['x.old.shop.svc.cluster.local', 'A', ['no-such-name']],
  // Pods.
  ['10-88-0-2.shop.pod.cluster.local', 'A', ['10-88-0-2.shop.pod.cluster.local 5 A 10.88.0.2']],
  ['10-88-0-2.shop.pod.cluster.local', 'TXT', ['no-data']],
  ['10-88-0-2.other.pod.cluster.local', 'A', ['no-such-name']],
  ['10-88-0-6.shop.pod.cluster.local', 'A', ['no-such-name']],
  ['a.shop.pod.cluster.local', 'A', ['no-such-name']],
  ['x.10-88-0-2.shop.pod.cluster.local', 'A', ['no-such-name']],
  // What lies between.
  ['cluster.local', 'A', ['no-data']],
  ['cluster.local', 'NS', ['cluster.local 5 NS ns.dns.cluster.local']],
  ['dns.cluster.local', 'A', ['no-data']],
  ['ns.dns.cluster.local', 'A', ['ns.dns.cluster.local 5 A 10.96.0.10']],
  ['x.dns.cluster.local', 'A', ['no-such-name']],
  ['svc.cluster.local', 'A', ['no-data']],
  ['shop.svc.cluster.local', 'A', ['no-data']],
  ['other.svc.cluster.local', 'A', ['no-such-name']],
  ['pod.cluster.local', 'A', ['no-data']],
  ['shop.pod.cluster.local', 'A', ['no-data']],
  ['other.pod.cluster.local', 'A', ['no-such-name']],
  // What search lists make of other names.
  ['nowhere.shop.svc.cluster.local', 'A', ['no-such-name']],
  ['a.b.c.web.shop.svc.cluster.local', 'A', ['no-such-name']],
  ['www.example.com.svc.cluster.local', 'A', ['no-such-name']],
  ['www.example.com.cluster.local', 'A', ['no-such-name']],
  // Somebody else's.
  ['www.example.com', 'A', ['not-ours']],
  ['mycluster.local', 'A', ['not-ours']],
  ['local', 'A', ['not-ours']],
  ['', 'NS', ['not-ours']],
])('%s %s', (name, type, answers) => {
  expect(ask(name, type)).toEqual(answers);
});

test('the addresses of what an SRV record names come along', () => {
  const found = lookUp({ name: '_http._tcp.db.shop.svc.cluster.local', type: TYPE.SRV, class: CLASS_IN }, zone, state);
  expect(found.kind === 'records' && found.additionals.map(shown)).toEqual([
    'db-0.db.shop.svc.cluster.local 5 A 10.88.0.2',
    `${dbNode} 5 A 10.88.0.3`,
  ]);
});

describe('names follow the cluster', () => {
  test('a Service that comes, changes and goes', async () => {
    const { state: own, client, settle } = await cluster();
    await client.create(SERVICES, service('new', { clusterIP: '10.96.0.20' }));
    await settle();
    expect(ask('20.0.96.10.in-addr.arpa', 'PTR', own)).toEqual([
      '20.0.96.10.in-addr.arpa 5 PTR new.shop.svc.cluster.local',
    ]);
    await client.update(SERVICES, service('new', { clusterIP: '10.96.0.21' }));
    await settle();
    expect(ask('20.0.96.10.in-addr.arpa', 'PTR', own)).toEqual(['not-ours']);
    expect(ask('new.shop.svc.cluster.local', 'A', own)).toEqual(['new.shop.svc.cluster.local 5 A 10.96.0.21']);
    await client.delete(SERVICES, { name: 'new', namespace: 'shop' });
    await settle();
    expect(ask('21.0.96.10.in-addr.arpa', 'PTR', own)).toEqual(['not-ours']);
    expect(ask('new.shop.svc.cluster.local', 'A', own)).toEqual(['no-such-name']);
  });

  test('an endpoint that turns not ready', async () => {
    const { state: own, client, settle } = await cluster();
    await client.update(ENDPOINTSLICES, slice('db', [{ addresses: ['10.88.0.3'], conditions: { ready: false } }]));
    await settle();
    expect(ask('db.shop.svc.cluster.local', 'A', own)).toEqual(['no-such-name']);
    expect(ask('3.0.88.10.in-addr.arpa', 'PTR', own)).toEqual(['not-ours']);
  });

  test('an endpoint in two slices counts once; several slices add up', async () => {
    const { state: own, client, settle } = await cluster();
    const second = slice('db', [{ addresses: ['10.88.0.2'] }, { addresses: ['10.88.0.12'] }]);
    second.metadata.name = 'db-x2';
    await client.create(ENDPOINTSLICES, second);
    await settle();
    expect(ask('db.shop.svc.cluster.local', 'A', own).map((line) => line.split(' ').at(-1))).toEqual([
      '10.88.0.2',
      '10.88.0.3',
      '10.88.0.12',
    ]);
  });
});
