/**
 * What Services cost: requests through a cluster address and a node port against the pod's own address, and the time of one change
 * with few and with many Services. In network namespaces of its own; needs root, nft, ip, nginx and wrk. `--quick` takes few runs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { instanceLayout } from '../src/lib/instance.ts';
import { type LabProcess, NetworkLab } from '../test/lab/network-lab.ts';
import { summarize } from './measure.ts';

const quick = process.argv.includes('--quick');
const RUNS = quick ? 1 : 7;
const SECONDS = quick ? 1 : 4;
const CHANGES = quick ? 50 : 500;
const NETWORK = '10.199.0';
const SERVERS = ['direct', 'cluster', 'node', 'rule', 'rule-lo'];
const layout = instanceLayout('/nowhere/bench-services');

/** A proxy on an API server in memory. Answers each line, a JavaScript expression, with its JSON. */
const agentCode = `
  import { createInterface } from 'node:readline';
  ${Object.entries({
    FakeKubeClient: '../src/client/fake-kube-client.ts',
    'ENDPOINTSLICES, SERVICES': '../src/api/resources.ts',
    SystemClock: '../src/lib/clock.ts',
    silentLogger: '../src/lib/logger.ts',
    instanceLayout: '../src/lib/instance.ts',
    PodNetwork: '../src/kubelet/network/pod-network.ts',
    routeLocalnet: '../src/kubelet/network/route-localnet.ts',
    Proxier: '../src/proxy/proxier.ts',
    UdpFlows: '../src/lib/udp-flows.ts',
  })
    .map(([names, file]) => `import { ${names} } from ${JSON.stringify(new URL(file, import.meta.url).href)};`)
    .join('\n')}
  const layout = instanceLayout(${JSON.stringify(layout.rootDir)});
  await new PodNetwork(layout, '${NETWORK}.0/24', '10.196.0.0/16').setUp();
  const clock = new SystemClock();
  const client = new FakeKubeClient(clock);
  let applied = () => {};
  const proxier = new Proxier({
    client, clock, layout, bridge: layout.bridge,
    logger: { ...silentLogger, debug: (_, text) => text === 'rules applied' && applied() },
    events: { record() {} },
    node: { nodeName: 'here', podCIDR: '10.199.0.0/16' },
    routeLocalnet: () => routeLocalnet(layout.bridge),
    udpFlows: new UdpFlows(silentLogger),
  });
  const service = (n, ports) => ({ metadata: { namespace: 'shop', name: 's' + n }, spec: { clusterIPs: ['10.196.' + (n >> 8) + '.' + (n & 255)], ports } });
  const slice = (n, ...endpoints) => ({
    metadata: { namespace: 'shop', name: 's' + n + '-1', labels: { 'kubernetes.io/service-name': 's' + n } },
    addressType: 'IPv4', ports: [{ port: 80 }], endpoints,
  });
  const tenOf = (n, isReady) => slice(n, ...Array.from({ length: 10 }, (_, i) => ({
    addresses: ['10.199.' + ((n * 10 + i) >> 8) + '.' + ((n * 10 + i) & 255)], conditions: { ready: i > 0 || isReady }, nodeName: 'here',
  })));
  const addMany = async (from, to) => {
    for (let n = from; n < to; n++) {
      await client.create(SERVICES, service(n, [{ port: 80 }]));
      await client.create(ENDPOINTSLICES, tenOf(n, true));
    }
  };
  const changes = async (count, services) => {
    const samples = [];
    for (let i = 0; i < count; i++) {
      const n = 1 + (i >> 1) % (services - 1);
      const next = tenOf(n, i % 2 === 1);
      const startedAt = performance.now();
      await new Promise((resolve) => {
        applied = resolve;
        void client.update(ENDPOINTSLICES, next);
      });
      samples.push(performance.now() - startedAt);
    }
    return samples;
  };
  await client.create(SERVICES, service(0, [{ port: 80 }]));
  await client.create(ENDPOINTSLICES, slice(0, { addresses: ['${NETWORK}.3'], nodeName: 'here' }));
  await client.create(SERVICES, service(2000, [{ port: 80, nodePort: 30080 }]));
  await client.create(ENDPOINTSLICES, slice(2000, { addresses: ['${NETWORK}.4'], nodeName: 'here' }));
  void proxier.run(new AbortController().signal);
  await proxier.synced;
  console.log('up');
  createInterface({ input: process.stdin }).on('line', async (line) => {
    console.log(JSON.stringify((await eval(line)) ?? null));
  });`;

const directory = mkdtempSync(join(tmpdir(), 'kubelette-bench-services-'));
const lab = new NetworkLab(layout.bridge, NETWORK);
let agent: LabProcess | undefined;
try {
  // One each, since ports of the same client that wait for late packets would be in the way of others.
  for (const [i, pod] of SERVERS.entries()) {
    lab.addPod(pod, 2 + i);
    startNginx(pod);
  }
  // Half a million connections that are over would fill the kernel's table, and slow down whoever is measured last.
  lab.shell('host', 'echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait');
  agent = await lab.start('host', agentCode);
  dataPath();
  await oneChange(agent);
} finally {
  lab.close();
  for (const pod of SERVERS) {
    try {
      execFileSync('nginx', ['-s', 'quit', '-c', join(directory, `${pod}.conf`), '-p', directory], { stdio: 'ignore' });
    } catch {
      // It did not start.
    }
  }
  rmSync(directory, { recursive: true, force: true });
}

function startNginx(pod: string): void {
  const config = `pid ${directory}/${pod}.pid; error_log /dev/null; worker_processes 1;
    events { worker_connections 4096; }
    http { access_log off; keepalive_requests 1000000; server { listen 80 backlog=4096; location / { return 200 "hello\\n"; } } }`;
  writeFileSync(join(directory, `${pod}.conf`), config);
  lab.shell(pod, `echo 4096 > /proc/sys/net/core/somaxconn; nginx -c ${directory}/${pod}.conf -p ${directory}`);
}

interface Load {
  readonly rps: number;
  readonly p99Ms: number;
}

/** @param close whether every request has a connection of its own */
function load(target: string, close: boolean): Load {
  const header = close ? `-H 'Connection: close'` : '';
  const said = lab.shell('host', `wrk -t1 -c16 -d${SECONDS}s --latency ${header} http://${target}/ 2>&1`);
  const [, rps] = /Requests\/sec:\s+([\d.]+)/.exec(said) ?? [];
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(said) ?? [];
  if (rps === undefined || p99 === undefined || /Socket errors|Non-2xx/.test(said)) throw new Error(said);
  return { rps: Number(rps), p99Ms: Number(p99) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'] };
}

function dataPath(): void {
  // What the kernel's translation costs when nobody has to look anything up.
  lab.shell(
    'host',
    `nft 'table ip lone {
      chain out { type nat hook output priority -110;
        ip daddr 10.196.255.1 tcp dport 80 dnat to ${NETWORK}.5
        ip daddr 127.0.0.1 tcp dport 30081 dnat to ${NETWORK}.6:80; }
      chain post { type nat hook postrouting priority 90; ip saddr 127.0.0.1 ct status dnat masquerade; }; }'`,
  );
  const direct = 'pod address';
  const targets = {
    [direct]: `${NETWORK}.2`,
    'cluster address': '10.196.0.0',
    'cluster address, one rule': '10.196.255.1',
    'node port': '127.0.0.1:30080',
    'node port, one rule': '127.0.0.1:30081',
  };
  for (const close of [true, false]) {
    const seen = new Map<string, Load[]>();
    // By turns, and none always after the same, so that what disturbs the machine disturbs all. The first round warms caches.
    const turns = Object.entries(targets);
    for (let i = -1; i < RUNS; i++) {
      turns.push(turns.shift()!);
      for (const [name, target] of turns) {
        const result = load(target, close);
        if (i >= 0) seen.set(name, [...(seen.get(name) ?? []), result]);
      }
    }
    console.log(`${close ? 'a connection for each request' : 'kept connections'}, ${RUNS} runs of ${SECONDS} s:`);
    for (const name of Object.keys(targets)) {
      const runs = seen.get(name)!;
      const median = (value: (load: Load, i: number) => number): number => summarize(runs.map(value)).median;
      /** What this does of what another does, in the same round. */
      const ofThat = (other: string): { least: number; words: string } => {
        const theirs = seen.get(other)!;
        const rps = median((l, i) => l.rps / theirs[i]!.rps);
        const p99 = median((l, i) => theirs[i]!.p99Ms / l.p99Ms);
        return { least: Math.min(rps, p99), words: `${rps.toFixed(3)} x, p99 ${p99.toFixed(3)} x of ${other}` };
      };
      const words = [`${median((l) => l.rps).toFixed(0)} requests/s, p99 ${median((l) => l.p99Ms).toFixed(2)} ms`];
      if (name !== direct) words.push(ofThat(direct).words);
      if (seen.has(`${name}, one rule`)) {
        const kernel = ofThat(`${name}, one rule`);
        words.push(kernel.words);
        const ofBest = Math.max(ofThat(direct).least, kernel.least);
        words.push(`goal >= 0.95 of the pod address, or of one rule: ${ofBest >= 0.95 ? 'met' : 'MISSED'}`);
      }
      console.log(`  ${name}: ${words.join('; ')}`);
    }
  }
}

async function oneChange(proxy: LabProcess): Promise<void> {
  const medians: number[] = [];
  let from = 1;
  for (const services of [10, 1000]) {
    await proxy.ask(`addMany(${from}, ${services})`);
    from = services;
    await proxy.ask('clock.sleep(3000)');
    await proxy.ask(`changes(20, ${services})`);
    const samples = (JSON.parse(await proxy.ask(`changes(${CHANGES}, ${services})`)) as number[]).sort((a, b) => a - b);
    const at = (q: number): string => samples[Math.min(samples.length - 1, Math.floor(q * samples.length))]!.toFixed(2);
    medians.push(samples[samples.length >> 1]!);
    console.log(
      `one change with ${services} Services of 10 endpoints: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`,
    );
  }
  const ratio = medians[1]! / medians[0]!;
  console.log(`  ratio ${ratio.toFixed(2)}  goal <= 2: ${ratio <= 2 ? 'met' : 'MISSED'}`);
}
