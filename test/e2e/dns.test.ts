import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import dnsPacket from 'dns-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const DOMAIN = 'default.svc.cluster.local';

/** Serves its name; Ready while /w/ready is there. */
const member = (name: string, app: string, more: object = {}) =>
  podManifest(
    name,
    {
      containers: [
        sh('web', `mkdir /w; hostname > /w/index.html; touch /w/ready; httpd -p 8080 -h /w; ${WAIT}`, {
          readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
      ...more,
    },
    { labels: { app } },
  );
const service = (name: string, spec: object) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });

let dnsAddress: string;
/** From the host, as a client that is not ours. */
let resolver: Resolver;
const addressOf = async (pod: string): Promise<string> => (await node.current.pod(pod)).status!.podIP!;
const inClient = (...words: string[]): Promise<string> => node.current.kubectl('exec', 'client', '--', ...words);
const get = (url: string): Promise<string> => inClient('wget', '-qO-', url);

beforeAll(async () => {
  if (!node.current) return;
  const objects = [
    service('web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] }),
    service('peers', {
      clusterIP: 'None',
      selector: { app: 'peers' },
      ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    }),
    service('outside', { type: 'ExternalName', externalName: 'info.cern.ch' }),
    member('web', 'web'),
    member('peer-0', 'peers', { hostname: 'peer-0', subdomain: 'peers' }),
    member('peer-1', 'peers', { hostname: 'peer-1', subdomain: 'peers' }),
  ];
  for (const object of objects) await node.current.apply(object);
  await Promise.all(['web', 'peer-0', 'peer-1'].map((name) => node.current.podReady(name)));
  // After the Services, so that its environment has them.
  await node.current.apply(podManifest('client', { containers: [sh('app', WAIT)] }));
  await node.current.podReady('client');
  const kubeDns = await node.current.api.get<Service>('/api/v1/namespaces/kube-system/services/kube-dns');
  dnsAddress = kubeDns.spec!.clusterIP!;
  resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([dnsAddress]);
});

describe.concurrent("the cluster's names", () => {
  test('the DNS is where people look for it', async () => {
    const table = await node.current.kubectl('get', 'services', '--namespace', 'kube-system');
    expect(table).toMatch(/^kube-dns +ClusterIP +10\.\S+\.10 +<none> +53\/UDP,53\/TCP/m);
    expect(dnsAddress).toMatch(/\.10$/);
  });

  test('a pod asks the cluster first', async () => {
    const text = await inClient('cat', '/etc/resolv.conf');
    expect(text).toBe(`search ${DOMAIN} svc.cluster.local cluster.local\nnameserver ${dnsAddress}\noptions ndots:5\n`);
  });

  test.each(['web', 'web.default', 'web.default.svc', `web.${DOMAIN}`, `web.${DOMAIN}.`])(
    'a Service by %s',
    async (name) => {
      expect(await get(`http://${name}/`)).toBe('web\n');
    },
  );

  test('the pods of a headless Service, and each by its own name', async () => {
    const [first, second] = await Promise.all([addressOf('peer-0'), addressOf('peer-1')]);
    const shown = await inClient('nslookup', `peers.${DOMAIN}`);
    for (const address of [first, second]) expect(shown).toContain(address);
    expect((await resolver.resolve4(`peers.${DOMAIN}`)).sort()).toEqual([first, second].sort());
    expect(await get('http://peer-1.peers:8080/')).toBe('peer-1\n');
    expect(await resolver.resolve4(`${second!.replaceAll('.', '-')}.default.pod.cluster.local`)).toEqual([second]);
    expect(await resolver.reverse(first!)).toEqual([`peer-0.peers.${DOMAIN}`]);
    const ports = await resolver.resolveSrv(`_http._tcp.peers.${DOMAIN}`);
    expect(ports.map(({ name, port }) => `${name}:${port}`).sort()).toEqual(
      [0, 1].map((i) => `peer-${i}.peers.${DOMAIN}:8080`),
    );
  });

  test('both pods take turns', async () => {
    const first = new Set<string>();
    for (let i = 0; i < 40; i++) first.add((await resolver.resolve4(`peers.${DOMAIN}`))[0]!);
    expect(first.size).toBe(2);
  });

  test('a port, and the name behind an address', async () => {
    const [address] = await resolver.resolve4(`web.${DOMAIN}`);
    expect(await resolver.resolveSrv(`_http._tcp.web.${DOMAIN}`)).toMatchObject([{ name: `web.${DOMAIN}`, port: 80 }]);
    expect(await resolver.reverse(address!)).toEqual([`web.${DOMAIN}`]);
    expect(await resolver.resolveTxt('dns-version.cluster.local')).toEqual([['1.1.0']]);
  });

  test('what does not exist, and what exists without such records', async () => {
    await expect(resolver.resolve4(`nothing.${DOMAIN}`)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.resolve6(`web.${DOMAIN}`)).rejects.toMatchObject({ code: 'ENODATA' });
  });

  test('names of the world go to the resolvers of the host', async () => {
    expect(await get('http://info.cern.ch/')).toContain('home of the first website');
    expect(await resolver.resolve4('info.cern.ch')).toEqual([expect.stringMatching(/^198\.18\./)]);
    await expect(resolver.resolve4('www.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  test('an ExternalName leads there as well', async () => {
    expect(await resolver.resolveCname(`outside.${DOMAIN}`)).toEqual(['info.cern.ch']);
    expect(await inClient('wget', '-qO-', '--header', 'Host: info.cern.ch', 'http://outside/')).toContain(
      'home of the first website',
    );
  });

  test('over TCP', async () => {
    const socket = connect(53, dnsAddress);
    const questions = [{ name: `web.${DOMAIN}`, type: 'A' as const }];
    socket.write(dnsPacket.streamEncode({ type: 'query', id: 1, flags: dnsPacket.RECURSION_DESIRED, questions }));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    const data = dnsPacket.streamDecode(answer).answers?.map((record) => 'data' in record && record.data);
    expect(data).toEqual(await resolver.resolve4(`web.${DOMAIN}`));
  });

  test('a pod has the Services in its environment', async () => {
    const env = await inClient('env');
    const [address] = await resolver.resolve4(`web.${DOMAIN}`);
    expect(env).toContain(`\nWEB_SERVICE_HOST=${address}\n`);
    expect(env).toContain('\nWEB_SERVICE_PORT_HTTP=80\n');
    expect(env).toContain(`\nWEB_PORT_80_TCP=tcp://${address}:80\n`);
  });

  test.each([
    ['ClusterFirst', false],
    ['ClusterFirstWithHostNet', true],
  ])("on the host's network: %s", async (dnsPolicy, isClusters) => {
    const name = dnsPolicy.toLowerCase();
    await node.current.apply(
      podManifest(name, { hostNetwork: true, dnsPolicy, containers: [sh('app', WAIT)] } as never),
    );
    await node.current.podReady(name);
    const text = await node.current.kubectl('exec', name, '--', 'cat', '/etc/resolv.conf');
    expect(text.includes(`nameserver ${dnsAddress}\n`)).toBe(isClusters);
    const named = await node.current.kubectlResult(['exec', name, '--', 'wget', '-qO-', 'http://web/']);
    expect(named.stdout).toBe(isClusters ? 'web\n' : '');
  });

  test('a pod that is not ready is not among the addresses, and comes back', async () => {
    await node.current.apply(
      service('fickle', { clusterIP: 'None', selector: { app: 'fickle' }, ports: [{ port: 80 }] }),
    );
    await node.current.apply(member('fickle', 'fickle'));
    await node.current.podReady('fickle');
    const address = await addressOf('fickle');
    await eventually(async () => expect(await resolver.resolve4(`fickle.${DOMAIN}`)).toEqual([address]));
    await node.current.kubectl('exec', 'fickle', '--', 'rm', '/w/ready');
    await eventually(() => expect(resolver.resolve4(`fickle.${DOMAIN}`)).rejects.toMatchObject({ code: 'ENOTFOUND' }));
    await node.current.kubectl('exec', 'fickle', '--', 'touch', '/w/ready');
    await eventually(async () => expect(await resolver.resolve4(`fickle.${DOMAIN}`)).toEqual([address]));
  });
});

test('an agent that comes back answers as before', async () => {
  process.kill(node.current.agentPid, 'SIGKILL');
  await node.current.up();
  await eventually(async () => expect(await get('http://web/')).toBe('web\n'));
});
