import { expect, test } from 'vitest';
import type { Pod, PodSpec } from '../../api/generated/types.ts';
import { hostsFile } from './hosts-file.ts';
import { kernelHostname, podHostname } from './pod-hostname.ts';

const pod = (spec: Partial<PodSpec> = {}, name = 'p'): Pod => ({
  metadata: { name, namespace: 'ns', uid: 'u' },
  spec: { containers: [], ...spec },
});

test.each<[Pod, string, string, string]>([
  [pod(), 'p', '', 'p'],
  [pod({ hostname: 'h' }), 'h', '', 'h'],
  [pod({ hostname: 'h', subdomain: 's' }), 'h', 's.ns.svc.cluster.local', 'h'],
  [pod({ subdomain: 's', setHostnameAsFQDN: true }), 'p', 's.ns.svc.cluster.local', 'p.s.ns.svc.cluster.local'],
  [pod({ setHostnameAsFQDN: true }), 'p', '', 'p'],
  [pod({ hostnameOverride: 'o.example.com', hostname: 'h', subdomain: 's' }), 'o.example.com', '', 'o.example.com'],
  [pod({}, `${'a'.repeat(61)}-.b`), 'a'.repeat(61), '', 'a'.repeat(61)],
])('host name %#', (p, hostname, domain, kernel) => {
  expect(podHostname(p)).toEqual({ hostname, domain });
  expect(kernelHostname(p)).toBe(kernel);
});

test('a full name that the kernel cannot hold', () => {
  const long = pod({ subdomain: 's', setHostnameAsFQDN: true }, 'a'.repeat(60));
  expect(() => kernelHostname(long)).toThrow('is too long (64 characters is the max, 83 characters requested)');
});

const START = `# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
`;

test('hosts file', () => {
  expect(hostsFile(pod(), ['10.88.0.2'], '')).toBe(`${START}10.88.0.2	p\n`);
  expect(hostsFile(pod({ subdomain: 's' }), ['10.88.0.2'], '')).toBe(
    `${START}10.88.0.2	p.s.ns.svc.cluster.local	p\n`,
  );
});

test('hosts file with aliases', () => {
  const hostAliases = [
    { ip: '192.0.2.7', hostnames: ['a', 'b'] },
    { ip: '192.0.2.8', hostnames: ['c'] },
  ];
  expect(hostsFile(pod({ hostAliases }), ['10.88.0.2'], '')).toBe(
    `${START}10.88.0.2	p\n\n# Entries added by HostAliases.\n192.0.2.7	a	b\n192.0.2.8	c\n`,
  );
});

test("hosts file on the host's network", () => {
  expect(hostsFile(pod({ hostNetwork: true }), ['192.0.2.1'], '127.0.0.1 localhost\n')).toBe(
    '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n',
  );
});
