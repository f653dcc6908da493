import { expect, test } from 'vitest';
import { type Check, evaluateHost, type HostFacts } from './doctor-checks.ts';

const ALL_CAPABILITIES = (1n << 41n) - 1n;
const without = (...bits: number[]): bigint =>
  bits.reduce((caps, bit) => caps & ~(1n << BigInt(bit)), ALL_CAPABILITIES);

const HEALTHY: HostFacts = {
  rootDir: '/var/lib/kubelette',
  isDefaultRootDir: true,
  uid: 0,
  nodeVersion: '24.21.0',
  kernel: '6.1.0-18-amd64',
  filesystems: ['proc', 'overlay', 'ext4'],
  namespaces: ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'],
  capabilities: ALL_CAPABILITIES,
  cgroups: {
    v2: { path: '/sys/fs/cgroup', controllers: ['cpuset', 'cpu', 'io', 'memory', 'pids'], writable: true },
    v1: [],
  },
  programs: {
    containerd: '1.6.20 (/usr/bin/containerd)',
    shim: '/usr/bin/containerd-shim-runc-v2',
    runc: '1.1.5 (/usr/sbin/runc)',
    nft: '1.0.6 (/usr/sbin/nft)',
    ip: '6.1.0 (/usr/sbin/ip)',
    mount: '2.38.1 (/usr/bin/mount)',
  },
  cniDir: '/usr/lib/cni',
  nftError: undefined,
  port: { number: 6443, error: undefined },
  disk: { path: '/var/lib', freeBytes: 50 * 1024 ** 3, totalBytes: 100 * 1024 ** 3, freeInodes: 1e6 },
  ipForward: true,
  firewall: [],
  resolvConf: { path: '/etc/resolv.conf', nameservers: ['10.0.0.1'] },
  instances: [],
};

const v1 = (...controllers: string[]) => controllers.map((controller) => ({ controller, writable: true }));

test('a healthy host passes every check', () => {
  expect(evaluateHost(HEALTHY).filter((c) => c.level !== 'ok')).toEqual([]);
});

test('what another user lacks is said once: that is no fault of the host', () => {
  const cgroups = { v2: { ...HEALTHY.cgroups.v2!, writable: false }, v1: [] };
  const checks = evaluateHost({ ...HEALTHY, uid: 1000, capabilities: 0n, cgroups });
  expect(checks.filter((c) => c.level === 'fail').map((c) => c.name)).toEqual(['user']);
});

test.each<[what: string, change: Partial<HostFacts>, name: string, level: Check['level'], text: string, mend: string]>([
  ['no root', { uid: 1000 }, 'user', 'fail', 'user id 1000', 'sudo kubelette doctor'],
  ['old Node', { nodeVersion: '20.11.0' }, 'Node.js', 'fail', 'at least 24', 'node@24'],
  ['old kernel', { kernel: '3.10.0-1160.el7' }, 'kernel', 'fail', 'at least 4.18', 'linux-image'],
  ['no namespaces', { namespaces: ['mnt'] }, 'kernel', 'fail', 'ipc, net, pid, uts', 'CONFIG_NAMESPACES'],
  ['no overlayfs', { filesystems: ['ext4'] }, 'kernel', 'warn', 'overlayfs', 'modprobe overlay'],
  ['no CAP_SYS_ADMIN', { capabilities: without(21) }, 'capabilities', 'fail', 'CAP_SYS_ADMIN', '--cap-add SYS_ADMIN'],
  [
    'no CAP_SYS_RESOURCE',
    { capabilities: without(24) },
    'capabilities',
    'warn',
    'pods run all the same',
    'SYS_RESOURCE',
  ],
  ['no cgroups', { cgroups: { v2: undefined, v1: [] } }, 'cgroups', 'fail', 'not mounted', 'mount -t cgroup2'],
  [
    'no memory controller',
    { cgroups: { v2: undefined, v1: v1('cpu', 'pids') } },
    'cgroups',
    'fail',
    'memory',
    'cgroup_enable=memory',
  ],
  ['no pids controller', { cgroups: { v2: undefined, v1: v1('cpu', 'memory') } }, 'cgroups', 'warn', 'pids', 'mount'],
  [
    'read-only cgroups',
    { cgroups: { v2: { ...HEALTHY.cgroups.v2!, writable: false }, v1: [] } },
    'cgroups',
    'fail',
    'read-only',
    '--privileged',
  ],
  [
    'no containerd',
    { programs: { ...HEALTHY.programs, containerd: undefined } },
    'containerd',
    'fail',
    'not found',
    'apt-get install -y containerd',
  ],
  [
    'no shim',
    { programs: { ...HEALTHY.programs, shim: undefined } },
    'containerd',
    'fail',
    'shim',
    'apt-get install -y containerd',
  ],
  [
    'no runc',
    { programs: { ...HEALTHY.programs, runc: undefined } },
    'runc',
    'fail',
    'not found',
    'apt-get install -y runc',
  ],
  ['no CNI plugins', { cniDir: undefined }, 'CNI plugins', 'fail', 'bridge', 'containernetworking-plugins'],
  [
    'no nft',
    { programs: { ...HEALTHY.programs, nft: undefined } },
    'nftables',
    'fail',
    'not found',
    'apt-get install -y nftables',
  ],
  ['nft not allowed', { nftError: 'Operation not permitted' }, 'nftables', 'fail', 'does not work', 'CAP_NET_ADMIN'],
  ['nft not in the kernel', { nftError: 'Protocol not supported' }, 'nftables', 'fail', 'does not work', 'modprobe'],
  ['forwarding off', { ipForward: false }, 'IP forwarding', 'warn', 'off', 'sysctl -w net.ipv4.ip_forward=1'],
  [
    'Docker’s firewall',
    { firewall: [{ text: 'drops what pods send', mend: 'iptables -I FORWARD -i kubelette0 -j ACCEPT' }] },
    'firewall',
    'warn',
    'drops',
    'iptables -I FORWARD -i kubelette0 -j ACCEPT',
  ],
  [
    'a resolver on loopback',
    { resolvConf: { path: '/r', nameservers: ['127.0.0.53'] } },
    'resolver',
    'warn',
    '127.0.0.53',
    '--resolv-conf',
  ],
  ['no resolver', { resolvConf: undefined }, 'resolver', 'warn', 'resolv.conf', '--resolv-conf'],
  ['a port in use', { port: { number: 6443, error: 'in use' } }, 'API port', 'fail', '6443: in use', '--port 0'],
  ['a full disk', { disk: { ...HEALTHY.disk, freeBytes: 1e6 } }, 'disk', 'fail', '0.0 GiB free', 'df -h /var/lib'],
  [
    'little disk',
    { disk: { ...HEALTHY.disk, freeBytes: 1024 ** 3 } },
    'disk',
    'warn',
    '1.0 GiB free',
    'df -h /var/lib',
  ],
  ['no inodes', { disk: { ...HEALTHY.disk, freeInodes: 12 } }, 'disk', 'warn', '12 inodes', 'df -h /var/lib'],
])('%s', (_what, change, name, level, text, mend) => {
  const checks = evaluateHost({ ...HEALTHY, ...change });
  const found = checks.find((c) => c.name === name)!;
  expect(found.level).toBe(level);
  expect(found.text).toContain(text);
  expect(found.mend).toContain(mend);
  // One lack, one complaint.
  expect(checks.filter((c) => c.level !== 'ok')).toEqual([found]);
});

test.each([
  ['v1', { v2: undefined, v1: v1('cpu', 'memory', 'pids') }, 'v1'],
  [
    'hybrid',
    { v2: { path: '/sys/fs/cgroup/unified', controllers: [], writable: true }, v1: v1('cpu', 'memory', 'pids') },
    'hybrid (v1 and v2)',
  ],
])('cgroups %s', (_what, cgroups, text) => {
  expect(evaluateHost({ ...HEALTHY, cgroups }).find((c) => c.name === 'cgroups')).toEqual({
    name: 'cgroups',
    level: 'ok',
    text,
  });
});

test('agents: the own one uses the port, others are named', () => {
  const agent = {
    rootDir: '/var/lib/kubelette',
    id: 'kubelette',
    pid: 42,
    server: 'https://127.0.0.1:6443',
    own: true,
  };
  const port = { number: 6443, error: 'in use' };
  const own = evaluateHost({ ...HEALTHY, port, instances: [agent] });
  expect(own.find((c) => c.name === 'API port')).toMatchObject({
    level: 'ok',
    text: expect.stringContaining('process 42') as string,
  });
  const other = evaluateHost({ ...HEALTHY, port, instances: [{ ...agent, own: false, rootDir: '/srv/k' }] });
  expect(other.find((c) => c.name === 'API port')).toMatchObject({
    level: 'fail',
    text: expect.stringContaining('/srv/k') as string,
  });
  expect(other.find((c) => c.name === 'agents')?.text).toBe(
    'none runs for /var/lib/kubelette; others: /srv/k (process 42)',
  );
});

test('agents that only root can see are not said not to run', () => {
  const checks = evaluateHost({ ...HEALTHY, port: { number: 6443, error: 'in use' }, instances: undefined });
  expect(checks.find((c) => c.name === 'agents')).toMatchObject({ level: 'warn', text: 'only root can see which run' });
  expect(checks.find((c) => c.name === 'API port')?.text).toBe('6443: in use, an agent or another program may use it');
});
