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
  expect(podDNSConfig(pod({ dnsPolicy, hostNetwork }), host, settings)).toEqual({ config, warnings: [] });
});

test("without a cluster DNS it is the host's", () => {
  for (const dnsPolicy of ['ClusterFirst', 'ClusterFirstWithHostNet'] as const) {
    expect(podDNSConfig(pod({ dnsPolicy }), host, { ...settings, clusterDNS: [] }).config).toEqual(host);
  }
});

test("None has only the pod's own", () => {
  const dnsConfig = { nameservers: ['192.0.2.1'], searches: ['s'], options: [{ name: 'ndots', value: '3' }] };
  expect(podDNSConfig(pod({ dnsPolicy: 'None', dnsConfig }), host, settings).config).toEqual({
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
  expect(podDNSConfig(pod({ dnsPolicy: 'Default', dnsConfig }), host, settings).config).toEqual({
    servers: ['192.0.2.53', '192.0.2.1', '192.0.2.2'],
    searches: ['example.com', 's'],
    options: ['ndots:3', 'rotate', 'edns0'],
  });
  expect(podDNSConfig(pod({ dnsPolicy: 'ClusterFirst', dnsConfig }), host, settings).config).toMatchObject({
    searches: [...cluster.searches, 's'],
    options: ['ndots:3', 'edns0'],
  });
});

const names = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, i) => `${i}`.padStart(length, 'x'));
const SERVERS = 'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ';
const SEARCHES = 'Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ';

test.each<[string, string[], string[], string[], string[]]>([
  ['as much as fits', names(3, 1), names(32, 63), names(32, 63), []],
  ['servers', names(4, 1), ['s'], ['s'], [`${SERVERS}0 1 2`]],
  ['searches', ['1'], names(33, 2), names(32, 2), [SEARCHES + names(32, 2).join(' ')]],
  ['one that is too long', ['1'], ['a', 'b'.repeat(254), 'c'], ['a', 'c'], [`${SEARCHES}a c`]],
  ['a long line', ['1'], names(12, 200), names(10, 200), [SEARCHES + names(10, 200).join(' ')]],
  ['both', names(4, 1), names(33, 2), names(32, 2), [`${SERVERS}0 1 2`, SEARCHES + names(32, 2).join(' ')]],
])('what is too much is left out, and told: %s', (_, nameservers, searches, left, warnings) => {
  const dns = podDNSConfig(pod({ dnsPolicy: 'None', dnsConfig: { nameservers, searches } }), host, settings);
  expect(dns.config).toEqual({ servers: nameservers.slice(0, 3), searches: left, options: [] });
  expect(dns.warnings).toEqual(warnings);
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
