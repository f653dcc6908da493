import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import type { Service, ServicePort, ServiceSpec } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { startOutsider } from './harness/outsider.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();

/** Answers `POD CLIENT` over HTTP and UDP, and `POD admin` on another port. */
const SERVER = `
  const me = require('node:os').hostname();
  const client = (a) => a.replace('::ffff:', '');
  require('node:http').createServer((q, r) => r.end(me + ' ' + client(q.socket.remoteAddress))).listen(8080);
  require('node:http').createServer((q, r) => r.end(me + ' admin')).listen(9090);
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (_, from) => udp.send(me + ' ' + from.address, from.port, from.address));
  udp.bind(5353);
  process.on('SIGTERM', () => process.exit(0));`;
const server = (name: string, labels: Record<string, string>, isReady = true): string =>
  podManifest(
    name,
    {
      containers: [
        {
          name: 'server',
          image: 'maho/webapl:0.1',
          command: ['node', '-e', SERVER],
          ports: [
            { name: 'web', containerPort: 8080 },
            { name: 'admin', containerPort: 9090 },
          ],
          readinessProbe: { httpGet: { path: '/', port: isReady ? 'web' : 1 }, periodSeconds: 1 },
        },
      ],
    },
    { labels },
  );

beforeAll(async () => {
  if (!node.current) return;
  await node.current.apply(server('a', { app: 'kinds' }));
  await node.current.apply(server('b', { app: 'kinds' }));
  await node.current.apply(server('unready', { app: 'unready' }, false));
  await node.current.apply(podManifest('client', { containers: [sh('app', WAIT)] }));
  await Promise.all(['a', 'b', 'client'].map((name) => node.current.podReady(name)));
});

const path = (name: string): string => `/api/v1/namespaces/default/services/${name}`;
const web: ServicePort = { name: 'web', port: 80, targetPort: 'web' };
async function create(name: string, spec: Partial<ServiceSpec>): Promise<Service & { spec: ServiceSpec }> {
  const whole = { selector: { app: 'kinds' }, ports: [web], ...spec };
  await node.current.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: whole }));
  return node.current.api.get(path(name));
}
const get = async (url: string): Promise<string> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(3000), headers: { connection: 'close' } });
  return response.text();
};
/** Which pods answer so many requests. */
async function pods(url: string, count = 20): Promise<string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) seen.add((await get(url)).split(' ')[0]!);
  return [...seen].sort();
}
const inClient = (...words: string[]): Promise<string> => node.current.kubectl('exec', 'client', '--', ...words);
const REFUSED = { cause: { code: 'ECONNREFUSED' } };
const hostIP = async (): Promise<string> => (await node.current.pod('a')).status!.hostIP!;
/** As the events of a Service say it. */
const told = async (service: string): Promise<string[]> =>
  (await node.current.events(service)).map((e) => `${e.type} ${e.reason} ${e.message}`);

describe.concurrent('Services', () => {
  test('several named ports, each to its own', async () => {
    const { spec } = await create('ports', { ports: [web, { name: 'admin', port: 81, targetPort: 'admin' }] });
    await eventually(async () => expect(await pods(`http://${spec.clusterIP}/`)).toEqual(['a', 'b']));
    expect(await get(`http://${spec.clusterIP}:81/`)).toMatch(/^[ab] admin$/);
    expect(await inClient('wget', '-qO-', 'http://ports:81/')).toMatch(/^[ab] admin$/);
  });

  test('UDP, at the cluster address and the node port, from the host and from a pod', async () => {
    const { spec } = await create('udp', {
      type: 'NodePort',
      ports: [{ port: 53, targetPort: 5353, protocol: 'UDP' }],
    });
    const ask = async (address: string, port: number): Promise<string> => {
      const socket = createSocket('udp4');
      try {
        socket.on('error', () => {});
        socket.send('x', port, address);
        const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(500) });
        return String(answer);
      } finally {
        socket.close();
      }
    };
    await eventually(() => ask(spec.clusterIP!, 53));
    for (const [address, port] of [
      [spec.clusterIP!, 53],
      ['127.0.0.1', spec.ports![0]!.nodePort!],
      [await hostIP(), spec.ports![0]!.nodePort!],
    ] as const) {
      const seen = new Set<string>();
      for (let i = 0; i < 20; i++) seen.add((await ask(address, port)).split(' ')[0]!);
      expect([...seen].sort(), address).toEqual(['a', 'b']);
    }
    const script = `const s = require('node:dgram').createSocket('udp4');
      s.on('message', (m) => { console.log(String(m)); s.close(); }).send('x', 53, '${spec.clusterIP}');`;
    expect(await node.current.kubectl('exec', 'a', '--', 'node', '-e', script)).toMatch(/^[ab] /);
  });

  test('sessionAffinity keeps a client at its pod, until it is over', async () => {
    const affinity = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 } } };
    const { spec } = await create('sticky', { sessionAffinity: 'ClientIP', ...affinity });
    const url = `http://${spec.clusterIP}/`;
    await eventually(() => get(url));
    expect(await pods(url, 30)).toHaveLength(1);
    // Who comes after the time-out draws again: 12 times the same has odds of 1 in 4,096.
    const seen = new Set<string>();
    for (let i = 0; i < 12 && seen.size < 2; i++) {
      seen.add((await get(url)).split(' ')[0]!);
      await new Promise((resolve) => setTimeout(resolve, 2500));
    }
    expect(seen.size).toBe(2);
  });

  test('a load balancer has the address of the machine, and is reached there', async () => {
    const port = 20_000 + (process.pid % 5000);
    const { spec } = await create('balanced', { type: 'LoadBalancer', ports: [{ ...web, port }] });
    const address = await hostIP();
    await eventually(async () =>
      expect(await node.current.kubectl('get', 'service', 'balanced')).toContain(
        ` LoadBalancer   ${spec.clusterIP}   ${address} `,
      ),
    );
    await eventually(async () => expect(await pods(`http://${address}:${port}/`)).toEqual(['a', 'b']));
    expect(await inClient('wget', '-qO-', `http://${address}:${port}/`)).toMatch(/^[ab] /);
  });

  test.each(['Cluster', 'Local'] as const)(
    'externalTrafficPolicy %s: a client outside the machine is seen as what it is',
    async (externalTrafficPolicy) => {
      const { spec } = await create(`outside-${externalTrafficPolicy.toLowerCase()}`, {
        type: 'NodePort',
        externalTrafficPolicy,
      });
      await using outsider = await startOutsider();
      const url = `http://${outsider.hostAddress}:${spec.ports![0]!.nodePort}/`;
      await eventually(async () => expect(await outsider.get(url)).toMatch(new RegExp(`^[ab] ${outsider.address}$`)));
    },
  );

  test('internalTrafficPolicy Local passes over endpoints of other nodes, and refuses when no other is left', async () => {
    const { spec } = await create('near', { internalTrafficPolicy: 'Local', selector: undefined as never });
    const [a, b] = await Promise.all(['a', 'b'].map((name) => node.current.pod(name)));
    const slice = (nodes: readonly [string, string]): Promise<void> =>
      node.current.apply(
        JSON.stringify({
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'near-1', labels: { 'kubernetes.io/service-name': 'near' } },
          addressType: 'IPv4',
          ports: [{ name: 'web', port: 8080 }],
          endpoints: [a, b].map((pod, i) => ({ addresses: [pod!.status!.podIP], nodeName: nodes[i] })),
        }),
      );
    const here = a!.spec.nodeName!;
    const url = `http://${spec.clusterIP}/`;
    await slice([here, 'elsewhere']);
    await eventually(async () => expect(await pods(url)).toEqual(['a']));
    await slice(['elsewhere', 'elsewhere']);
    await eventually(async () => await expect(get(url)).rejects.toMatchObject(REFUSED));
  });

  test('a pod that is not ready is reached only where publishNotReadyAddresses says so', async () => {
    const selector = { app: 'unready' };
    const strict = await create('strict', { selector });
    const early = await create('early', { selector, publishNotReadyAddresses: true });
    await eventually(async () => expect(await pods(`http://${early.spec.clusterIP}/`, 3)).toEqual(['unready']));
    await expect(get(`http://${strict.spec.clusterIP}/`)).rejects.toMatchObject(REFUSED);
  });

  test('Endpoints written by hand lead there, and go with their Service', async () => {
    const { spec } = await create('manual', { selector: undefined as never });
    const { podIP } = (await node.current.pod('b')).status!;
    const subsets = [{ addresses: [{ ip: podIP! }], ports: [{ name: 'web', port: 8080 }] }];
    const endpoints = { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'manual' }, subsets };
    await node.current.apply(JSON.stringify(endpoints));
    await eventually(async () => expect(await pods(`http://${spec.clusterIP}/`, 5)).toEqual(['b']));
    await node.current.kubectl('delete', 'service', 'manual');
    await eventually(async () => {
      const left = await node.current.kubectl('get', 'endpoints,endpointslices', '-o', 'name');
      expect(left).not.toContain('manual');
    });
  });

  test('kubectl expose, and port-forward to a Service', async () => {
    const words = ['expose', 'pod', 'a', '--name', 'exposed', '--port', '8888', '--target-port', 'web'];
    expect(await node.current.kubectl(...words)).toBe('service/exposed exposed\n');
    const { spec } = await node.current.api.get<Service>(path('exposed'));
    expect(spec!.selector).toEqual({ app: 'kinds' });
    await eventually(async () => expect(await pods(`http://${spec!.clusterIP}:8888/`)).toEqual(['a', 'b']));
    const forward = spawn(inject('e2e').kubectl, ['port-forward', 'svc/exposed', ':8888'], {
      env: { ...process.env, ...node.current.kubectlEnv },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface(forward.stdout), 'line')) as [string];
      const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(line)?.[1];
      expect(await get(`http://127.0.0.1:${port}/`)).toMatch(/^[ab] 127\.0\.0\.1$/);
    } finally {
      forward.kill();
      await once(forward, 'exit');
    }
  });
});

describe.concurrent('bad input', () => {
  test('an address outside the range, and one that is taken, are refused by name', async () => {
    await expect(create('far', { clusterIP: '192.0.2.1' })).rejects.toThrow(
      'spec.clusterIPs: Invalid value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: the provided network does not match the current range',
    );
    const { spec } = await node.current.api.get<Service>(path('kubernetes'));
    await expect(create('thief', { clusterIP: spec!.clusterIP! })).rejects.toThrow('provided IP is already allocated');
  });

  test('a selector that matches nothing: nobody is there, and connections are refused at once', async () => {
    const { spec } = await create('lonely', { selector: { app: 'nobody' } });
    await eventually(async () => {
      expect(await node.current.kubectl('get', 'endpoints', 'lonely')).toContain('<none>');
      await expect(get(`http://${spec.clusterIP}/`)).rejects.toMatchObject(REFUSED);
    });
  });

  test('a target port that no pod has is told', async () => {
    await create('astray', { ports: [{ port: 80, targetPort: 'no-such' }] });
    await eventually(async () =>
      expect(await told('astray')).toEqual([
        'Warning TargetPortNotFound no selected pod has a container port named "no-such": what is sent to it goes nowhere',
      ]),
    );
  });

  test('a node port that another program has is told', async () => {
    const other = createServer((socket) => socket.destroy());
    const listen = (port: number): Promise<unknown> => {
      other.listen(port, '127.0.0.1');
      return once(other, 'listening');
    };
    const nodePort = 31_000 + (process.pid % 1700);
    await listen(nodePort);
    try {
      const { spec } = await create('late', { type: 'NodePort', ports: [{ ...web, nodePort }] });
      await eventually(async () =>
        expect(await told('late')).toEqual([
          expect.stringMatching(
            new RegExp(`^Warning NodePortInUse TCP node port ${nodePort} is in use by another program .* ss -lntp `),
          ),
        ]),
      );
      // All else goes on.
      await eventually(async () => expect(await pods(`http://${spec.clusterIP}/`)).toEqual(['a', 'b']));
    } finally {
      other.close();
    }
    // And the other way round: a program does not get what a Service has.
    const { spec } = await create('early-bird', { type: 'NodePort' });
    await eventually(async () => {
      const rival = createServer();
      rival.listen(spec.ports![0]!.nodePort!, '127.0.0.1');
      const [error] = (await Promise.race([once(rival, 'error'), once(rival, 'listening')])) as [{ code?: string }?];
      rival.close();
      expect(error?.code).toBe('EADDRINUSE');
    });
  });
});
