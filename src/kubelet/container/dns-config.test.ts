import { expect, test } from 'vitest';
import type { Pod, PodSpec } from '../../api/generated/types.ts';
import { defaultResolvConf } from './default-resolv-conf.ts';
import { parseResolvConf, podDNSConfig } from './dns-config.ts';

const pod = (spec: Partial<PodSpec>): Pod => ({ metadata: { name: 'p' }, spec: { containers: [], ...spec } });
const host = { servers: ['192.0.2.53'], searches: ['example.com'], options: ['ndots:2', 'rotate'] };

test('a resolv.conf', () => {
  const text = `# comment
; another
  nameserver   192.0.2.53
nameserver 192.0.2.54
nameserver
domain ignored.example
search old.example
search a.example. . b.example a.example
options ndots:1 rotate
options ndots:5
`;
  expect(parseResolvConf(text)).toEqual({
    servers: ['192.0.2.53', '192.0.2.54'],
    searches: ['a.example', '.', 'b.example'],
    options: ['ndots:5', 'rotate'],
  });
  expect(parseResolvConf('')).toEqual({ servers: [], searches: [], options: [] });
});

test.each<[PodSpec['dnsPolicy'] & string]>([['Default'], ['ClusterFirst'], ['ClusterFirstWithHostNet']])(
  "%s has the host's",
  (dnsPolicy) => {
    expect(podDNSConfig(pod({ dnsPolicy }), host)).toEqual(host);
  },
);

test('None has only its own', () => {
  const dnsConfig = { nameservers: ['192.0.2.1'], searches: ['s'], options: [{ name: 'ndots', value: '3' }] };
  expect(podDNSConfig(pod({ dnsPolicy: 'None', dnsConfig }), host)).toEqual({
    servers: ['192.0.2.1'],
    searches: ['s'],
    options: ['ndots:3'],
  });
});

test("dnsConfig comes on top of the host's, nothing twice", () => {
  const dnsConfig = {
    nameservers: ['192.0.2.53', '192.0.2.1'],
    searches: ['example.com', 's'],
    options: [{ name: 'ndots', value: '3' }, { name: 'edns0' }],
  };
  expect(podDNSConfig(pod({ dnsPolicy: 'Default', dnsConfig }), host)).toEqual({
    servers: ['192.0.2.53', '192.0.2.1'],
    searches: ['example.com', 's'],
    options: ['ndots:3', 'rotate', 'edns0'],
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
