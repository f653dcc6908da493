// Needs root, nft and ip. Everything happens in network namespaces of its own.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { instanceLayout } from '../../lib/instance.ts';

const layout = instanceLayout('/nowhere/pod-network-test');
const CIDR = '10.199.0.0/24';
/** An address that the host has for its pods, besides their gateway's. */
const OWN = '10.96.0.10';
const prefix = `klt${process.pid}`;
const HOST = `${prefix}h`;
const WORLD = `${prefix}w`;
const POD_A = `${prefix}a`;
const POD_B = `${prefix}b`;
const servers: ChildProcess[] = [];

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
const inside = (ns: string, command: string): string => run('ip', 'netns', 'exec', ns, 'sh', '-c', command);
const node = (ns: string, code: string): string =>
  run('ip', 'netns', 'exec', ns, process.execPath, '--input-type=module', '-e', code).trim();

/** Runs code in the host's namespace with `network` and `ports` made by us, as a fresh agent would. */
function agent(code: string): string {
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  return node(
    HOST,
    `import { PodNetwork } from ${url('./pod-network.ts')};
     import { NftHostPortManager } from ${url('./host-port-manager.ts')};
     import { setUpBridge } from ${url('./bridge.ts')};
     import { instanceLayout } from ${url('../../lib/instance.ts')};
     import { silentLogger } from ${url('../../lib/logger.ts')};
     import { UdpFlows } from ${url('../../lib/udp-flows.ts')};
     const layout = instanceLayout(${JSON.stringify(layout.rootDir)});
     const network = new PodNetwork(layout, '${CIDR}', '10.96.0.0/16');
     const ports = new NftHostPortManager(layout, new UdpFlows(silentLogger));
     const pod = (uid, ports) => ({ metadata: { uid }, spec: { containers: [{ name: 'c', ports }] } });
     const sandbox = (ip) => ({ ips: [ip], hostNetwork: false });
     ${code}`,
  );
}

/** A server that answers each connection (or datagram) with its name and the sender's address. */
async function serve(ns: string, name: string, address: string, port: number): Promise<void> {
  const code = `
    const answer = (from) => '${name} ' + from;
    require('net').createServer((s) => s.end(answer(s.remoteAddress))).listen(${port}, '${address}', () => {
      const udp = require('dgram').createSocket('udp4');
      udp.on('message', (_, from) => udp.send(answer(from.address), from.port, from.address));
      udp.bind(${port}, '${address}', () => console.log('up'));
    });`;
  const child = spawn('ip', ['netns', 'exec', ns, process.execPath, '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(child);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
}

const tcp = (ns: string, address: string, port: number): string =>
  node(
    ns,
    `import { connect } from 'node:net';
     const s = connect({ host: '${address}', port: ${port}, timeout: 1500 });
     s.on('data', (d) => console.log(String(d)));
     s.on('timeout', () => { console.log('timeout'); s.destroy(); });
     s.on('error', (e) => console.log(e.code));`,
  );
/** @param from the sender's port; 0 for any */
const udp = (ns: string, address: string, port: number, from = 0): string =>
  node(
    ns,
    `import { createSocket } from 'node:dgram';
     const s = createSocket('udp4');
     const t = setTimeout(() => { console.log('timeout'); s.close(); }, 1500);
     s.on('message', (d) => { console.log(String(d)); clearTimeout(t); s.close(); });
     s.on('error', (e) => { console.log(e.code); clearTimeout(t); s.close(); });
     s.bind(${from}, () => s.connect(${port}, '${address}', () => s.send('x')));`,
  );

beforeAll(async () => {
  for (const ns of [HOST, WORLD, POD_A, POD_B]) {
    run('ip', 'netns', 'add', ns);
    inside(ns, 'ip link set lo up');
  }
  agent(`await setUpBridge(layout, '${CIDR}', ['${OWN}']);`);
  const pod = (ns: string, n: number): void => {
    inside(
      HOST,
      `ip link add v${n} type veth peer name eth0 netns ${ns} && ip link set v${n} master ${layout.bridge} up && bridge link set dev v${n} hairpin on`,
    );
    inside(ns, `ip addr add 10.199.0.${n}/24 dev eth0 && ip link set eth0 up && ip route add default via 10.199.0.1`);
  };
  pod(POD_A, 2);
  pod(POD_B, 3);
  inside(
    HOST,
    `ip link add world type veth peer name eth0 netns ${WORLD} && ip addr add 192.0.2.1/24 dev world && ip link set world up`,
  );
  inside(WORLD, 'ip addr add 192.0.2.2/24 dev eth0 && ip link set eth0 up');
  await serve(POD_A, 'a', '0.0.0.0', 80);
  await serve(WORLD, 'world', '0.0.0.0', 80);
  await serve(HOST, 'private', '127.0.0.1', 7000);
  await serve(HOST, 'own', OWN, 53);
  agent('await network.setUp();');
});

afterAll(() => {
  for (const server of servers) server.kill('SIGKILL');
  for (const ns of [HOST, WORLD, POD_A, POD_B]) run('ip', 'netns', 'delete', ns);
});

test('pods reach each other and, masqueraded, the world', () => {
  expect(tcp(POD_B, '10.199.0.2', 80)).toBe('a 10.199.0.3');
  expect(tcp(HOST, '10.199.0.2', 80)).toBe('a 10.199.0.1');
  expect(tcp(POD_A, '192.0.2.2', 80)).toBe('world 192.0.2.1');
  expect(udp(POD_A, '192.0.2.2', 80)).toBe('world 192.0.2.1');
});

test("pods and the host reach the host's own address on the bridge, which is made once", () => {
  for (const ns of [POD_A, POD_B, HOST]) {
    expect(tcp(ns, OWN, 53)).toMatch(/^own /);
    expect(udp(ns, OWN, 53)).toMatch(/^own /);
  }
  const shown = (): string =>
    inside(HOST, `ip -o -4 address show dev ${layout.bridge}; ip -o link show ${layout.bridge}`);
  const before = shown();
  agent(`await setUpBridge(layout, '${CIDR}', ['${OWN}']);`);
  expect(shown()).toBe(before);
  // The CNI plugin looks for the gateway at the first place.
  expect([...before.matchAll(/inet (\S+)/g)].map(([, address]) => address)).toEqual(['10.199.0.1/24', `${OWN}/32`]);
});

test('nobody else reaches what the host has on the bridge', async () => {
  await serve(HOST, 'gateway', '10.199.0.1', 6443);
  for (const ns of [POD_A, HOST]) expect(tcp(ns, '10.199.0.1', 6443)).toMatch(/^gateway /);
  inside(WORLD, 'ip route add 10.96.0.0/16 via 192.0.2.1; ip route add 10.199.0.0/24 via 192.0.2.1');
  expect(tcp(WORLD, '10.199.0.1', 6443)).toBe('timeout');
  expect(tcp(WORLD, OWN, 53)).toBe('timeout');
  expect(udp(WORLD, OWN, 53)).toBe('timeout');
  // The test is worth something: to Linux an address is the host's whichever device a packet comes through.
  inside(HOST, `nft flush chain ip ${layout.nftTable} guard`);
  expect(tcp(WORLD, '10.199.0.1', 6443)).toBe('gateway 192.0.2.2');
  agent('await network.setUp();');
  expect(tcp(WORLD, '10.199.0.1', 6443)).toBe('timeout');
});

describe('a host port', () => {
  beforeAll(() => {
    agent(`await ports.set(pod('a', [
      { containerPort: 80, hostPort: 8080 },
      { containerPort: 80, hostPort: 8080, protocol: 'UDP' },
      { containerPort: 80, hostPort: 8081, hostIP: '127.0.0.1' },
    ]), sandbox('10.199.0.2'));`);
  });

  test('is reached from the world, which the pod sees', () => {
    expect(tcp(WORLD, '192.0.2.1', 8080)).toBe('a 192.0.2.2');
    expect(udp(WORLD, '192.0.2.1', 8080)).toBe('a 192.0.2.2');
  });

  test.each(['127.0.0.1', '192.0.2.1', '10.199.0.1'])('is reached from the host at %s', (address) => {
    expect(tcp(HOST, address, 8080)).toMatch(/^a /);
    expect(udp(HOST, address, 8080)).toMatch(/^a /);
  });

  test('is reached from pods, its own among them', () => {
    for (const ns of [POD_A, POD_B]) expect(tcp(ns, '192.0.2.1', 8080)).toBe('a 10.199.0.1');
  });

  test('is reached by who sent before it was there, and before it was another pod', async () => {
    const set = (uid: string, ip: string): string =>
      agent(
        `await ports.set(pod('${uid}', [{ containerPort: 80, hostPort: 8082, protocol: 'UDP' }]), sandbox('${ip}'));`,
      );
    expect(udp(WORLD, '192.0.2.1', 8082, 4444)).toBe('ECONNREFUSED');
    set('b', '10.199.0.3');
    expect(udp(WORLD, '192.0.2.1', 8082, 4444)).toBe('ECONNREFUSED');
    agent(`await ports.remove('b');`);
    set('a2', '10.199.0.2');
    expect(udp(WORLD, '192.0.2.1', 8082, 4444)).toBe('a 192.0.2.2');
    agent(`await ports.remove('a2');`);
  });

  test("is not what listens at the host's address among the Services", () => {
    agent(`await ports.set(pod('dns', [
      { containerPort: 80, hostPort: 53 },
      { containerPort: 80, hostPort: 53, protocol: 'UDP' },
    ]), sandbox('10.199.0.2'));`);
    for (const ns of [HOST, POD_B]) {
      expect([tcp(ns, OWN, 53), udp(ns, OWN, 53)]).toEqual([
        expect.stringMatching(/^own /),
        expect.stringMatching(/^own /),
      ]);
    }
    expect(udp(WORLD, '192.0.2.1', 53)).toBe('a 192.0.2.2');
    agent(`await ports.remove('dns');`);
  });

  test('of one address is reached there only', () => {
    expect(tcp(HOST, '127.0.0.1', 8081)).toMatch(/^a /);
    expect(tcp(WORLD, '192.0.2.1', 8081)).toBe('ECONNREFUSED');
  });

  test('stands when the network is set up again, and is known to the next agent', () => {
    agent('await network.setUp();');
    expect(tcp(WORLD, '192.0.2.1', 8080)).toBe('a 192.0.2.2');
    agent(`await ports.remove('a');`);
    expect(tcp(WORLD, '192.0.2.1', 8080)).toBe('ECONNREFUSED');
    expect(inside(HOST, `nft list table ip ${layout.nftTable}`)).not.toContain('elements');
  });
});

test("a pod does not reach what listens on the host's 127.0.0.1", () => {
  expect(inside(HOST, `cat /proc/sys/net/ipv4/conf/${layout.bridge}/route_localnet`).trim()).toBe('1');
  inside(
    POD_B,
    'ip route add 127.0.0.1/32 via 10.199.0.1 src 10.199.0.3 table 5; ip rule add to 127.0.0.1 table 5 pref 1; ip rule add table local pref 2; ip rule del pref 0',
  );
  inside(POD_B, 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet');
  expect(tcp(POD_B, '127.0.0.1', 7000)).toBe('timeout');
  // The test is worth something: without the guard the pod gets there.
  inside(HOST, `nft flush chain ip ${layout.nftTable} guard`);
  expect(tcp(POD_B, '127.0.0.1', 7000)).toMatch(/^private /);
});

test('a firewall that drops what is forwarded, or comes in, is named until it has a rule about the bridge', () => {
  const warnings = (): string[] =>
    agent('console.log(JSON.stringify(await network.setUp()));').match(
      /policy of the chain [\w ]+|iptables.*?(?=")/g,
    ) ?? [];
  expect(warnings()).toEqual([]);
  for (const hook of ['forward', 'input']) {
    const chain = `ip filter ${hook.toUpperCase()}`;
    inside(HOST, `nft 'add table ip filter; add chain ${chain} { type filter hook ${hook} priority 0; policy drop; }'`);
  }
  const [forward, input] = [
    `iptables -I FORWARD -i ${layout.bridge} -j ACCEPT && iptables -I FORWARD -o ${layout.bridge} -j ACCEPT`,
    `iptables -I INPUT -i ${layout.bridge} -j ACCEPT`,
  ];
  expect(warnings()).toEqual([
    'policy of the chain ip filter FORWARD',
    forward,
    'policy of the chain ip filter INPUT',
    input,
  ]);
  inside(HOST, `nft 'add rule ip filter INPUT iifname "${layout.bridge}" accept'`);
  expect(warnings()).toEqual(['policy of the chain ip filter FORWARD', forward]);
  inside(HOST, 'nft delete table ip filter');
});

test('nothing is left after tear-down, which can be repeated', () => {
  agent('await network.tearDown(); await network.tearDown();');
  expect(inside(HOST, 'nft list tables').trim()).toBe('');
  expect(inside(HOST, 'ip -o link')).not.toContain(layout.bridge);
});
