import { expect, test } from 'vitest';
import type { Pod, PodSpec } from '../../api/generated/types.ts';
import { defaultResolvConf } from './default-resolv-conf.ts';
import { podDNSConfig } from './dns-config.ts';

const pod = (spec: Partial<PodSpec>): Pod => ({
  metadata: { name: 'p', namespace: 'shop' },
  spec: { containers: [], ...spec },
});
const host = { servers: ['192.0.2.53'], searches: ['example.com'], options: ['ndots:2', 'rotate'] };
const settings = { clusterDNS: ['10.96.0.10'], clusterDomain: 'cluster.local' };
const cluster = {
  servers: ['10.96.0.10'],
  searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.com'],
  options: ['ndots:5'],
};

test.each<[string, PodSpec['dnsPolicy'], boolean, object]>([
  ["the host's", 'Default', false, host],
  ["the cluster's", 'ClusterFirst', false, cluster],
  ["the host's", 'ClusterFirst', true, host],
  ["the cluster's", 'ClusterFirstWithHostNet', true, cluster],
  ["the cluster's", 'ClusterFirstWithHostNet', false, cluster],
  ['nothing', 'None', false, { servers: [], searches: [], options: [] }],
])('%s: %s, hostNetwork %s', (_, dnsPolicy, hostNetwork, config) => {
  expect(podDNSConfig(pod({ dnsPolicy, hostNetwork }), host, settings)).toEqual(config);
});

test("without a cluster DNS it is the host's", () => {
  for (const dnsPolicy of ['ClusterFirst', 'ClusterFirstWithHostNet'] as const) {
    expect(podDNSConfig(pod({ dnsPolicy }), host, { ...settings, clusterDNS: [] })).toEqual(host);
  }
});

test("None has only the pod's own", () => {
  const dnsConfig = { nameservers: ['192.0.2.1'], searches: ['s'], options: [{ name: 'ndots', value: '3' }] };
  expect(podDNSConfig(pod({ dnsPolicy: 'None', dnsConfig }), host, settings)).toEqual({
    servers: ['192.0.2.1'],
    searches: ['s'],
    options: ['ndots:3'],
  });
});

test('dnsConfig comes on top, nothing twice, three servers at most', () => {
  const dnsConfig = {
    nameservers: ['192.0.2.53', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
    searches: ['example.com', 's'],
    options: [{ name: 'ndots', value: '3' }, { name: 'edns0' }],
  };
  expect(podDNSConfig(pod({ dnsPolicy: 'Default', dnsConfig }), host, settings)).toEqual({
    servers: ['192.0.2.53', '192.0.2.1', '192.0.2.2'],
    searches: ['example.com', 's'],
    options: ['ndots:3', 'rotate', 'edns0'],
  });
  expect(podDNSConfig(pod({ dnsPolicy: 'ClusterFirst', dnsConfig }), host, settings)).toMatchObject({
    searches: [...cluster.searches, 's'],
    options: ['ndots:3', 'edns0'],
  });
});

test.each<[string | undefined, string | undefined, string]>([
  ['nameserver 192.0.2.1', 'nameserver 192.0.2.2', '/etc/resolv.conf'],
  ['nameserver 127.0.0.53', 'nameserver 192.0.2.2', '/run/systemd/resolve/resolv.conf'],
  ['nameserver 127.0.0.53\nnameserver 192.0.2.1', 'nameserver 192.0.2.2', '/etc/resolv.conf'],
  ['nameserver 127.0.0.1', undefined, '/etc/resolv.conf'],
  ['nameserver 127.0.0.53', 'nameserver ::1', '/etc/resolv.conf'],
  ['', 'nameserver 192.0.2.2', '/etc/resolv.conf'],
  [undefined, undefined, '/etc/resolv.conf'],
])('without a choice: %j, %j', (own, upstream, chosen) => {
  const read = (path: string): string => {
    const text = path.startsWith('/etc') ? own : upstream;
    if (text === undefined) throw new Error('ENOENT');
    return text;
  };
  expect(defaultResolvConf(read)).toBe(chosen);
});
