import { afterEach, describe, expect, test } from 'vitest';
import type { Container, Service, ServicePort, ServiceSpec } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { runProcess } from './harness/run-process.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();

/** Serves its pod's name, as long as `/w/index.html` is there. It dies at once when told to end, whatever it is at. */
const web = (more: Partial<Container> = {}): Container =>
  sh('web', `mkdir /w; hostname > /w/index.html; httpd -p 8080 -h /w; ${WAIT}`, {
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
    ...more,
  });
/** Fast; told to end, it takes no new connection and ends the requests that it has. */
const NGINX_CONF =
  'daemon off; pid /tmp/nginx.pid; error_log stderr; events {} http { access_log off; server { listen 80; location / { return 200 hello; } } }';
const nginx: Container = {
  name: 'web',
  image: 'nginx:latest',
  command: [
    'bash',
    '-c',
    `echo '${NGINX_CONF}' > /tmp/nginx.conf; nginx -c /tmp/nginx.conf & trap "kill -QUIT $!" TERM; wait; wait`,
  ],
  ports: [{ name: 'http', containerPort: 80 }],
  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
};

async function startPods(app: string, names: readonly string[], container: Container): Promise<void> {
  for (const name of names) {
    await node.current.apply(
      podManifest(name, { terminationGracePeriodSeconds: 5, containers: [container] }, { labels: { app } }),
    );
  }
  await Promise.all(names.map((name) => node.current.podReady(name)));
}

async function expose(app: string, port: ServicePort, spec: Partial<ServiceSpec> = {}): Promise<Service> {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: app },
    spec: { selector: { app }, ports: [port], ...spec },
  };
  await node.current.apply(JSON.stringify(service));
  return node.current.api.get<Service>(`/api/v1/namespaces/default/services/${app}`);
}

const get = async (url: string, timeoutMs = 3000): Promise<string> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), headers: { connection: 'close' } });
  expect(response.status).toBe(200);
  return (await response.text()).trim();
};
/** Who answers so many requests, each on a connection of its own. */
async function answers(url: string, count: number, timeoutMs?: number): Promise<string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) seen.add(await get(url, timeoutMs));
  return [...seen].sort();
}

describe('a Service with two pods', () => {
  let url: string;
  let nodePort: number;

  test('is reached at its address from the host and from a pod, and at its node port on every address of the host', async () => {
    await node.current.apply(podManifest('client', { containers: [sh('app', WAIT)] }));
    await startPods('web', ['web-1', 'web-2'], web());
    const service = await expose('web', { port: 80, targetPort: 8080 }, { type: 'NodePort' });
    url = `http://${service.spec.clusterIP}/`;
    nodePort = service.spec.ports![0]!.nodePort!;
    expect(nodePort).toBeGreaterThanOrEqual(30_000);
    await eventually(async () => expect(await answers(url, 10)).toEqual(['web-1', 'web-2']));
    const { hostIP } = (await node.current.podReady('client')).status!;
    for (const address of ['127.0.0.1', hostIP]) {
      expect(await answers(`http://${address}:${nodePort}/`, 20), address).toEqual(['web-1', 'web-2']);
    }
    for (const target of [url, `http://${hostIP}:${nodePort}/`]) {
      const loop = `for i in $(seq 20); do wget -qO- ${target}; done | sort -u`;
      expect(await node.current.kubectl('exec', 'client', '--', 'sh', '-c', loop), target).toBe('web-1\nweb-2\n');
    }
    const itself = `for i in $(seq 10); do wget -qO- ${url}; done | sort -u`;
    expect(await node.current.kubectl('exec', 'web-1', '--', 'sh', '-c', itself)).toBe('web-1\nweb-2\n');
  });

  test('leads only to the pod that is ready, and to both again', async () => {
    await node.current.kubectl('exec', 'web-1', '--', 'mv', '/w/index.html', '/w/away');
    await node.current.podUntil(
      'web-1',
      (pod) => pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'False',
    );
    // The rules change with the status, not before; they need no more than a moment.
    await eventually(async () => expect(await answers(url, 30)).toEqual(['web-2']), 1000);
    await node.current.kubectl('exec', 'web-1', '--', 'mv', '/w/away', '/w/index.html');
    await node.current.podReady('web-1');
    await eventually(async () => expect(await answers(url, 30)).toEqual(['web-1', 'web-2']), 1000);
  });

  test('refuses connections when no pod is left', async () => {
    await node.current.kubectl('delete', 'pod', 'web-1', 'web-2');
    for (const target of [url, `http://127.0.0.1:${nodePort}/`]) {
      await expect(get(target), target).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    }
  });
});

test('a pod that hangs leaves its Service, is restarted and comes back; no client sees an error in between', async () => {
  const hanging = web({
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 },
    livenessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, failureThreshold: 3, timeoutSeconds: 1 },
  });
  await startPods('hang', ['hang-1', 'hang-2'], hanging);
  const { spec } = await expose('hang', { port: 80, targetPort: 8080 });
  const url = `http://${spec.clusterIP}/`;
  await eventually(async () => expect(await answers(url, 20)).toEqual(['hang-1', 'hang-2']));
  // The server is stopped, not ended: connections are accepted, and nothing answers.
  await node.current.kubectl('exec', 'hang-1', '--', 'sh', '-c', 'kill -STOP $(pidof httpd)');
  await node.current.podUntil(
    'hang-1',
    (pod) => pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'False',
  );
  // A request that was sent there just before that hangs, and is not waited for.
  await eventually(async () => expect(await answers(url, 20, 300)).toEqual(['hang-2']), 2000);
  let isBack = false;
  const back = node.current
    .podUntil(
      'hang-1',
      (pod) => pod?.status?.containerStatuses?.[0]?.restartCount === 1 && pod.status.containerStatuses[0].ready,
    )
    .then(() => {
      isBack = true;
    });
  while (!isBack) await get(url);
  await back;
  await eventually(async () => expect(await answers(url, 20)).toEqual(['hang-1', 'hang-2']));
});

describe('under constant load', () => {
  afterEach(async () => {
    await node.current.kubectl('delete', 'pod', '-l', 'app=roll', '--ignore-not-found');
  });

  test.for([
    ['its address', (service: Service) => `http://${service.spec.clusterIP}/`],
    ['its node port', (service: Service) => `http://127.0.0.1:${service.spec.ports![0]!.nodePort}/`],
  ] as const)('a rolling replacement of all pods loses no request to %s', async ([, urlOf], { skip }) => {
    const wrk = await runProcess('wrk', ['--version']).catch(() => undefined);
    skip(!wrk, 'needs wrk');
    await startPods('roll', ['roll-1', 'roll-2'], nginx);
    const url = urlOf(await expose('roll', { port: 80, targetPort: 'http' }, { type: 'NodePort' }));
    await eventually(() => get(url));
    const seconds = 20;
    const load = runProcess('wrk', ['-t1', '-c8', `-d${seconds}s`, '--timeout', '5s', '-H', 'Connection: close', url]);
    const until = performance.now() + (seconds - 3) * 1000;
    let next = 3;
    while (performance.now() < until) {
      await startPods('roll', [`roll-${next}`], nginx);
      await node.current.kubectl('delete', 'pod', `roll-${next - 2}`);
      next++;
    }
    const { stdout } = await load;
    expect(next).toBeGreaterThan(5);
    expect(stdout).not.toMatch(/Socket errors|Non-2xx/);
    const [, requests] = /(\d+) requests in/.exec(stdout) ?? [];
    expect(Number(requests), stdout).toBeGreaterThan(1000);
  });
});

describe('bad input', () => {
  test('a node port that another Service has is refused by name', async () => {
    const port = { port: 80, nodePort: 30_000 + (process.pid % 2000) };
    await expose('first', port, { type: 'NodePort' });
    const second = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'second' },
      spec: { type: 'NodePort', selector: { app: 'x' }, ports: [port] },
    });
    await expect(node.current.apply(second)).rejects.toThrow(
      `spec.ports[0].nodePort: Invalid value: ${port.nodePort}: provided port is already allocated`,
    );
  });

  test('an external address that two Services want: the second hears of it, and all else works', async () => {
    const external = { externalIPs: ['192.0.2.77'] };
    await expose('has', { port: 80 }, external);
    await expose('wants', { port: 80 }, external);
    await eventually(async () => {
      const events = await node.current.events('wants');
      expect(events.map((e) => `${e.type} ${e.reason} ${e.message}`)).toEqual([
        'Warning FailedRouting TCP 192.0.2.77:80 leads to Service default/has already',
      ]);
    });
  });
});
