// Needs root, nft, ip and conntrack. Everything happens in network namespaces of its own.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HOST_ADDRESS, type LabProcess, NetworkLab, WORLD_ADDRESS } from '../../test/lab/network-lab.ts';
import type { Endpoint, ServiceSpec } from '../api/generated/types.ts';
import { instanceLayout } from '../lib/instance.ts';

const layout = instanceLayout('/nowhere/proxier-test');
const NETWORK = '10.199.0';
const CLUSTER_IP = '10.196.0.7';
const NODE_PORT = 30080;
const A = `${NETWORK}.2`;
const B = `${NETWORK}.3`;
const C = `${NETWORK}.4`;
let lab: NetworkLab;
let agent: LabProcess;

/** The agent's part: the pods' network, the proxy, the watch over the table; the API server is one in memory. */
function agentCode(rootDir: string): string {
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  return `
    import { createInterface } from 'node:readline';
    import { FakeKubeClient } from ${url('../client/fake-kube-client.ts')};
    import { ENDPOINTSLICES, SERVICES } from ${url('../api/resources.ts')};
    import { SystemClock } from ${url('../lib/clock.ts')};
    import { instanceLayout } from ${url('../lib/instance.ts')};
    import { silentLogger } from ${url('../lib/logger.ts')};
    import { UdpFlows } from ${url('../lib/udp-flows.ts')};
    import { NftHostPortManager } from ${url('../kubelet/network/host-port-manager.ts')};
    import { PodNetwork } from ${url('../kubelet/network/pod-network.ts')};
    import { routeLocalnet } from ${url('../kubelet/network/route-localnet.ts')};
    import { watchTable } from ${url('../kubelet/network/watch-table.ts')};
    import { Proxier } from ${url('./proxier.ts')};
    const layout = { ...instanceLayout(${JSON.stringify(rootDir)}), bridge: ${JSON.stringify(layout.bridge)} };
    const network = new PodNetwork(layout, '${NETWORK}.0/24', '10.196.0.0/16');
    const udpFlows = new UdpFlows(silentLogger);
    const hostPorts = new NftHostPortManager(layout, udpFlows);
    await network.setUp();
    const clock = new SystemClock();
    const client = new FakeKubeClient(clock);
    const said = [];
    const proxier = new Proxier({
      client, clock, layout, bridge: layout.bridge, logger: { ...silentLogger, warn: (fields, text) => said.push(text + ' ' + JSON.stringify(fields)) },
      events: { record: (object, type, reason, message) => said.push(object.name + ' ' + message) },
      node: { nodeName: 'here', podCIDR: '${NETWORK}.0/24' },
      routeLocalnet: () => routeLocalnet(layout.bridge), udpFlows,
    });
    const stopping = new AbortController();
    void proxier.run(stopping.signal);
    await proxier.synced;
    void watchTable({ table: layout.nftTable, firstPod: Promise.resolve(), clock, signal: stopping.signal }, async () => {
      await network.setUp();
      proxier.rebuild('flushed');
      await hostPorts.reinstall();
    });
    const put = async (resource, object) => {
      const known = client.all(resource).find((o) => o.metadata.name === object.metadata.name);
      await (known ? client.update(resource, { ...object, metadata: { ...object.metadata, uid: known.metadata.uid } }) : client.create(resource, object));
    };
    const drop = (resource, name) => client.delete(resource, { namespace: 'shop', name });
    const applied = () => new Promise((resolve) => setTimeout(resolve, 150));
    console.log('up');
    createInterface({ input: process.stdin }).on('line', async (line) => {
      try {
        const result = await eval('(async () => {' + line + '})()');
        await applied();
        console.log(JSON.stringify(result ?? null));
      } catch (error) {
        console.log(JSON.stringify('failed: ' + error.stack));
      }
    });`;
}

/** Makes the one Service what it says, with these endpoints. */
async function route(spec: Partial<ServiceSpec>, endpoints: readonly Endpoint[], which = agent): Promise<void> {
  const service = {
    metadata: { namespace: 'shop', name: 'web' },
    spec: {
      type: 'NodePort',
      clusterIPs: [CLUSTER_IP],
      ports: [
        { name: 'tcp', port: 80, protocol: 'TCP', nodePort: NODE_PORT },
        { name: 'udp', port: 80, protocol: 'UDP', nodePort: NODE_PORT },
      ],
      ...spec,
    },
  };
  const slice = {
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [
      { name: 'tcp', port: 8080, protocol: 'TCP' },
      { name: 'udp', port: 8080, protocol: 'UDP' },
    ],
    endpoints,
  };
  const line = `await put(SERVICES, ${JSON.stringify(service)}); await put(ENDPOINTSLICES, ${JSON.stringify(slice)});`;
  expect(await which.ask(line)).toBe('null');
}

const at = (address: string, conditions: Endpoint['conditions'] = { ready: true }): Endpoint => ({
  addresses: [address],
  conditions,
  nodeName: 'here',
});
const counts = (answers: readonly string[]): Record<string, number> => {
  const result: Record<string, number> = {};
  for (const answer of answers) result[answer.split(' ')[0]!] = (result[answer.split(' ')[0]!] ?? 0) + 1;
  return result;
};

beforeAll(async () => {
  lab = new NetworkLab(layout.bridge, NETWORK);
  for (const [name, n] of [
    ['a', 2],
    ['b', 3],
    ['c', 4],
    ['client', 9],
  ] as const)
    lab.addPod(name, n);
  await Promise.all([
    lab.serve('a', 'a', 8080),
    lab.serve('b', 'b', 8080),
    lab.serve('c', 'c', 8080),
    lab.serve('world', 'world', 8080),
    lab.serve('host', 'host', 8080),
  ]);
  agent = await lab.start('host', agentCode(layout.rootDir));
  lab.shell(
    'world',
    `ip route add 10.196.0.0/16 via ${HOST_ADDRESS}; ip route add 198.51.100.0/24 via ${HOST_ADDRESS}`,
  );
});

afterAll(() => lab?.close());

describe('a Service with endpoints', () => {
  beforeAll(() => route({ externalIPs: ['198.51.100.5'] }, [at(A), at(B), at(C)]));

  test.each([
    ['a pod', 'client'],
    ['the host', 'host'],
  ])('is reached at its address from %s, evenly', (_, from) => {
    for (const kind of ['tcp', 'udp'] as const) {
      const seen = counts(lab[kind](from, CLUSTER_IP, 80, 300));
      expect(Object.keys(seen).sort()).toEqual(['a', 'b', 'c']);
      // 100 each are expected; less than 60 of 300 have odds of 1 in 10 million.
      for (const count of Object.values(seen)) expect(count).toBeGreaterThan(60);
    }
  });

  test.each(['127.0.0.1', HOST_ADDRESS, `${NETWORK}.1`])(
    'is reached at its node port from the host at %s',
    (address) => {
      for (const kind of ['tcp', 'udp'] as const) {
        expect(Object.keys(counts(lab[kind]('host', address, NODE_PORT, 30))).sort()).toEqual(['a', 'b', 'c']);
      }
    },
  );

  test('is reached at its node port and its external address from the world, which the pods see', () => {
    for (const kind of ['tcp', 'udp'] as const) {
      for (const [address, port] of [
        [HOST_ADDRESS, NODE_PORT],
        ['198.51.100.5', 80],
      ] as const) {
        const seen = lab[kind]('world', address, port, 30);
        expect([...new Set(seen)].sort()).toEqual(['a', 'b', 'c'].map((name) => `${name} ${WORLD_ADDRESS}`));
      }
    }
  });

  test('is reached at its node port from pods', () => {
    expect(Object.keys(counts(lab.tcp('client', HOST_ADDRESS, NODE_PORT, 30))).sort()).toEqual(['a', 'b', 'c']);
  });

  test('is not reached at its cluster address from the world', () => {
    expect(lab.tcp('world', CLUSTER_IP, 80)[0]).not.toMatch(/^[abc] /);
  });

  test('refuses what is not one of its ports, at once', () => {
    for (const from of ['client', 'host']) {
      expect(lab.tcp(from, CLUSTER_IP, 81)).toEqual(['ECONNREFUSED']);
      expect(lab.udp(from, CLUSTER_IP, 81)).toEqual(['ECONNREFUSED']);
    }
  });
});

test('a pod reaches itself through its Service', async () => {
  await route({}, [at(A)]);
  expect(lab.tcp('a', CLUSTER_IP, 80)[0]).toMatch(/^a /);
  expect(lab.udp('a', CLUSTER_IP, 80)[0]).toMatch(/^a /);
  expect(lab.tcp('a', HOST_ADDRESS, NODE_PORT)[0]).toMatch(/^a /);
});

test('without a ready endpoint connections are refused, until there is one again', async () => {
  await route({ externalIPs: ['198.51.100.5'] }, [at(A, { ready: false })]);
  for (const kind of ['tcp', 'udp'] as const) {
    for (const from of ['client', 'host']) expect(lab[kind](from, CLUSTER_IP, 80), from).toEqual(['ECONNREFUSED']);
    for (const address of ['127.0.0.1', HOST_ADDRESS]) {
      expect(lab[kind]('host', address, NODE_PORT), address).toEqual(['ECONNREFUSED']);
    }
    expect(lab[kind]('world', HOST_ADDRESS, NODE_PORT), kind).toEqual(['ECONNREFUSED']);
    expect(lab[kind]('world', '198.51.100.5', 80), kind).toEqual(['ECONNREFUSED']);
  }
  await route({}, [at(A)]);
  expect(lab.tcp('client', CLUSTER_IP, 80)[0]).toMatch(/^a /);
});

test('an endpoint that ends keeps its connections, and gets no new one while another is ready', async () => {
  await route({}, [at(A)]);
  const connection = await lab.start(
    'client',
    `import { connect } from 'node:net';
     import { createInterface } from 'node:readline';
     const s = connect(80, '${CLUSTER_IP}', () => console.log('connected'));
     s.on('data', (d) => console.log(String(d).trim()));
     s.on('error', (e) => console.log(e.code));
     createInterface({ input: process.stdin }).on('line', (line) => s.write(line));`,
  );
  expect(await connection.ask('x')).toMatch(/^a /);
  await route({}, [at(A, { ready: false, serving: true, terminating: true }), at(B)]);
  expect(counts(lab.tcp('client', CLUSTER_IP, 80, 30))).toEqual({ b: 30 });
  expect(await connection.ask('x')).toMatch(/^a /);
  // The last resort, when there is no other; and even so nothing is cut off when it goes.
  await route({}, [at(A, { ready: false, serving: true, terminating: true })]);
  expect(lab.tcp('client', CLUSTER_IP, 80)[0]).toMatch(/^a /);
  await route({}, []);
  expect(await connection.ask('x')).toMatch(/^a /);
  connection.end();
});

test('a UDP client that never pauses moves on when its endpoint goes', async () => {
  await route({}, [at(A)]);
  const client = await lab.start(
    'client',
    `import { createSocket } from 'node:dgram';
     import { createInterface } from 'node:readline';
     const s = createSocket('udp4');
     s.on('message', (d) => console.log(String(d).trim()));
     s.connect(80, '${CLUSTER_IP}', () => console.log('up'));
     createInterface({ input: process.stdin }).on('line', (line) => s.send(line));`,
  );
  expect(await client.ask('x')).toMatch(/^a /);
  await route({}, [at(B)]);
  expect(await client.ask('x')).toMatch(/^b /);
  client.end();
});

test('a UDP client that began before the Service, or its address, existed gets there when it does', async () => {
  await agent.ask(`await drop(SERVICES, 'web');`);
  const externalIP = '198.51.100.9';
  const clients: LabProcess[] = [];
  for (const [from, address, port] of [
    ['client', CLUSTER_IP, 80],
    ['world', HOST_ADDRESS, NODE_PORT],
    ['client', externalIP, 80],
  ] as const) {
    const client = await lab.start(
      from,
      `import { createSocket } from 'node:dgram';
       import { createInterface } from 'node:readline';
       const s = createSocket('udp4');
       s.on('error', () => {});
       s.on('message', (d) => console.log(String(d).trim()));
       s.bind(() => {
         s.send('x', ${port}, '${address}');
         setTimeout(() => console.log('up'), 100);
         createInterface({ input: process.stdin }).on('line', () => {
           s.send('x', ${port}, '${address}');
           setTimeout(() => console.log('nothing'), 1000).unref();
         });
       });`,
    );
    clients.push(client);
  }
  await route({}, [at(A)]);
  expect(await clients[0]!.ask('x')).toMatch(/^a /);
  expect(await clients[1]!.ask('x')).toMatch(/^a /);
  await route({ externalIPs: [externalIP] }, [at(A)]);
  expect(await clients[2]!.ask('x')).toMatch(/^a /);
  for (const client of clients) client.end();
});

test.each([{}, { sessionAffinity: 'ClientIP' as const }])('the kernel takes rules for SCTP: %j', async (more) => {
  const ports = [{ name: 'sctp', port: 80, protocol: 'SCTP' as const, nodePort: NODE_PORT }];
  const slice = {
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'sctp', port: 8080, protocol: 'SCTP' }],
    endpoints: [at(A), at(B)],
  };
  await route({ ports, ...more }, []);
  expect(await agent.ask(`said.length = 0; await put(ENDPOINTSLICES, ${JSON.stringify(slice)});`)).toBe('null');
  expect(JSON.parse(await agent.ask('return said;'))).toEqual([]);
  expect(lab.shell('host', `nft list table ip ${layout.nftTable}`)).toMatch(
    more.sessionAffinity ? /dnat to 10.199.0.2:8080/ : /10.196.0.7 . 80 . 0 : 10.199.0.2 . 8080/,
  );
});

describe('sessionAffinity: ClientIP', () => {
  const sticky: Partial<ServiceSpec> = {
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 } },
  };

  test('keeps each client at its endpoint, by whatever address it comes', async () => {
    await route(sticky, [at(A), at(B), at(C)]);
    for (const from of ['client', 'host', 'world']) {
      const port = from === 'world' ? NODE_PORT : 80;
      const address = from === 'world' ? HOST_ADDRESS : CLUSTER_IP;
      for (const kind of ['tcp', 'udp'] as const) {
        expect(Object.values(counts(lab[kind](from, address, port, 20))), `${kind} from ${from}`).toEqual([20]);
      }
    }
    const [first] = lab.tcp('client', CLUSTER_IP, 80);
    expect(lab.tcp('client', HOST_ADDRESS, NODE_PORT)).toEqual([first]);
  });

  test('moves it when its endpoint goes', async () => {
    await route(sticky, [at(A), at(B)]);
    const had = lab.tcp('client', CLUSTER_IP, 80)[0]!.split(' ')[0]!;
    const [gone, stays] = had === 'a' ? [A, 'b'] : [B, 'a'];
    await route(
      sticky,
      [at(A), at(B)].filter((e) => e.addresses[0] !== gone),
    );
    expect(counts(lab.tcp('client', CLUSTER_IP, 80, 10))).toEqual({ [stays]: 10 });
    await route(sticky, [at(A), at(B)]);
    expect(counts(lab.tcp('client', CLUSTER_IP, 80, 10))).toEqual({ [stays]: 10 });
  });

  test('forgets a client that was away for longer than the time-out', async () => {
    await route(sticky, [at(A), at(B), at(C)]);
    const seen = new Set<string>();
    for (let i = 0; i < 6 && seen.size < 2; i++) {
      seen.add(lab.tcp('client', CLUSTER_IP, 80)[0]!);
      await new Promise((resolve) => setTimeout(resolve, 2500));
    }
    expect(seen.size).toBeGreaterThan(1);
  }, 30_000);
});

test('endpoints elsewhere answer through this host', async () => {
  await route({}, [{ addresses: [WORLD_ADDRESS] }]);
  for (const from of ['client', 'host']) expect(lab.tcp(from, CLUSTER_IP, 80)).toEqual([`world ${HOST_ADDRESS}`]);
  expect(lab.udp('client', CLUSTER_IP, 80)).toEqual([`world ${HOST_ADDRESS}`]);
  // It would not take an answer from itself for one from the node port.
  expect(lab.tcp('world', HOST_ADDRESS, NODE_PORT)).toEqual([`world ${HOST_ADDRESS}`]);
});

test('an endpoint may be the host itself', async () => {
  await route({}, [at(HOST_ADDRESS)]);
  for (const from of ['client', 'host']) expect(lab.tcp(from, CLUSTER_IP, 80)[0]).toMatch(/^host /);
  expect(lab.tcp('host', '127.0.0.1', NODE_PORT)[0]).toMatch(/^host /);
});

test('a load balancer may be for some clients only', async () => {
  const balancer = (range: string): string => `
    const [web] = client.all(SERVICES);
    await client.update(SERVICES, {
      ...web, spec: { ...web.spec, type: 'LoadBalancer', loadBalancerSourceRanges: ['${range}'] },
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.6' }] } },
    });`;
  await route({}, [at(A)]);
  await agent.ask(balancer('192.0.2.0/30'));
  expect(lab.tcp('world', '198.51.100.6', 80)).toEqual([`a ${WORLD_ADDRESS}`]);
  expect(lab.tcp('client', '198.51.100.6', 80)).toEqual(['timeout']);
  await agent.ask(balancer(`${NETWORK}.0/24`));
  expect(lab.tcp('world', '198.51.100.6', 80)).toEqual(['timeout']);
  expect(lab.tcp('client', '198.51.100.6', 80)[0]).toMatch(/^a /);
  // Its other addresses are for all.
  expect(lab.tcp('world', HOST_ADDRESS, NODE_PORT)).toEqual([`a ${WORLD_ADDRESS}`]);
});

describe('what others have in the kernel', () => {
  beforeEach(() => route({}, [at(A), at(B)]));

  test('is not touched: neither other tables nor host ports', async () => {
    lab.shell(
      'host',
      `nft 'add table ip other; add chain ip other x { type filter hook input priority 0; }; add rule ip other x counter'`,
    );
    const pod = {
      metadata: { uid: 'p' },
      spec: { containers: [{ name: 'c', ports: [{ containerPort: 8080, hostPort: 9090 }] }] },
    };
    await agent.ask(`await hostPorts.set(${JSON.stringify(pod)}, { ips: ['${C}'], hostNetwork: false });`);
    const before = lab.shell('host', 'nft list table ip other');
    await route({}, [at(B)]);
    await agent.ask(`proxier.rebuild('test');`);
    expect(lab.shell('host', 'nft list table ip other')).toBe(before);
    expect(lab.tcp('world', HOST_ADDRESS, 9090)[0]).toMatch(/^c /);
  });

  test('a firewall that flushes everything is mended at once, host ports too', async () => {
    lab.shell('host', 'nft flush ruleset');
    await agent.ask('');
    expect(lab.tcp('client', CLUSTER_IP, 80)[0]).toMatch(/^[ab] /);
    expect(lab.tcp('world', HOST_ADDRESS, NODE_PORT)[0]).toMatch(/^[ab] /);
    expect(lab.tcp('world', HOST_ADDRESS, 9090)[0]).toMatch(/^c /);
    expect(lab.tcp('client', WORLD_ADDRESS, 8080)).toEqual([`world ${HOST_ADDRESS}`]);
  });

  test('a table that is emptied under a change is made anew with it', async () => {
    lab.shell('host', `nft 'delete table ip ${layout.nftTable}; add table ip ${layout.nftTable}'`);
    await route({}, [at(C)]);
    expect(counts(lab.tcp('client', CLUSTER_IP, 80, 5))).toEqual({ c: 5 });
  });

  test('a second instance with the same node port disturbs nobody, and goes without a trace', async () => {
    const second = await lab.start('host', agentCode('/nowhere/proxier-test-2'));
    await route({ clusterIPs: ['10.197.0.7'] }, [at(C)], second);
    expect(Object.keys(counts(lab.tcp('host', CLUSTER_IP, 80, 30))).sort()).toEqual(['a', 'b']);
    expect(counts(lab.tcp('host', '10.197.0.7', 80, 5))).toEqual({ c: 5 });
    expect(lab.tcp('world', HOST_ADDRESS, NODE_PORT)[0]).toMatch(/^[abc] /);
    await second.ask('stopping.abort(); await network.tearDown();');
    second.end();
    lab.shell('host', `ip link show ${layout.bridge} || true`);
    expect(
      lab
        .shell('host', 'nft list tables')
        .split('\n')
        .filter((line) => line.includes('kl-')).length,
    ).toBe(1);
  });
});
