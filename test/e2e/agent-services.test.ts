import { beforeAll, describe, expect, test } from 'vitest';
import type { EndpointSlice, Endpoints, Service } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, WAIT } from './harness/manifests.ts';
import { outputOf } from './harness/run-process.ts';
import { TestNode, useNode } from './harness/test-node.ts';

const node = useNode();
const API = 'https://kubernetes.default.svc';
const SERVICE = '/api/v1/namespaces/default/services/kubernetes';

/** Has curl, the cluster's authority, and the administrator's certificate in a Secret. */
const caller = podManifest('caller', {
  containers: [
    {
      name: 'app',
      image: 'nginx:latest',
      command: ['sh', '-c', WAIT],
      volumeMounts: [
        { name: 'ca', mountPath: '/ca' },
        { name: 'admin', mountPath: '/admin' },
      ],
    },
  ],
  volumes: [
    { name: 'ca', configMap: { name: 'kube-root-ca.crt' } },
    { name: 'admin', secret: { secretName: 'admin' } },
  ],
});

beforeAll(async () => {
  if (!node.current) return;
  const [user] = JSON.parse(await node.current.kubectl('config', 'view', '--raw', '-o', 'jsonpath={.users}'));
  const data = { 'tls.crt': user.user['client-certificate-data'], 'tls.key': user.user['client-key-data'] };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'admin' }, type: 'kubernetes.io/tls', data };
  await node.current.apply(JSON.stringify(secret));
  await node.current.apply(caller);
  await node.current.podReady('caller');
});

/** What curl in the pod is answered: the code, and 000 when nobody does. */
const code = async (url: string, ...more: string[]): Promise<string> => {
  const curl = ['curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', '/ca/ca.crt'];
  return (await node.current.kubectlResult(['exec', 'caller', '--', ...curl, ...more, url])).stdout;
};
const serviceIP = async (): Promise<string> => (await node.current.api.get<Service>(SERVICE)).spec!.clusterIP!;

describe('the Service kubernetes', () => {
  test('is there from the start, as in every cluster, with its endpoint', async () => {
    expect(await node.current.kubectl('get', 'services')).toMatch(
      /^kubernetes +ClusterIP +10\.\d+\.\d+\.1 +<none> +443\/TCP /m,
    );
    const { items } = await node.current.api.get<{ items: EndpointSlice[] }>(
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes',
    );
    expect(items).toHaveLength(1);
    const [{ endpoints, ports }] = items as [EndpointSlice];
    const target = `${endpoints![0]!.addresses[0]}:${ports![0]!.port}`;
    expect(await node.current.kubectl('get', 'endpoints', 'kubernetes')).toContain(` ${target} `);
    expect(await node.current.kubectl('exec', 'caller', '--', 'env')).toContain('KUBERNETES_SERVICE_PORT=443');
  });

  test('leads pods to the API server, which proves who it is and asks who they are', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    for (const name of [API, `${API}.cluster.local`, 'https://kubernetes', `https://${await serviceIP()}`]) {
      // Everybody may read the version, as in every cluster.
      expect(await code(`${name}/version`), name).toBe('200');
      expect(await code(`${name}${pods}`), name).toBe('403');
    }
    expect(await code(`${API}${pods}`, '-H', 'Authorization: Bearer made-up')).toBe('401');
    expect(await code(`${API}${pods}`, '--cert', '/admin/tls.crt', '--key', '/admin/tls.key')).toBe('200');
    // From the host, too.
    const url = `https://${await serviceIP()}/version`;
    expect(await outputOf('curl', ['-sk', url])).toContain('"major":"1"');
  });

  test.each([
    ['kubernetes', 'default', () => code(`${API}/version`)],
    ['kube-dns', 'kube-system', () => code('https://kubernetes/version')],
  ])('%s comes back when somebody deletes it', async (name, namespace, ask) => {
    const path = `/api/v1/namespaces/${namespace}/services/${name}`;
    const before = await node.current.api.get<Service>(path);
    await node.current.kubectl('delete', 'service', name, '--namespace', namespace);
    await eventually(async () => {
      const { metadata, spec } = await node.current.api.get<Service>(path);
      expect(metadata.uid).not.toBe(before.metadata.uid);
      expect(spec!.clusterIP).toBe(before.spec!.clusterIP);
      const { subsets } = await node.current.api.get<Endpoints>(`/api/v1/namespaces/${namespace}/endpoints/${name}`);
      expect(subsets).toHaveLength(1);
      expect(await ask()).toBe('200');
    });
  });
});

test('two agents side by side: each has its own, and is closed to the pods of the other', async () => {
  const other = await TestNode.start();
  try {
    const { spec } = await other.api.get<Service>(SERVICE);
    expect(spec!.clusterIP).not.toBe(await serviceIP());
    const { subsets } = await other.api.get<Endpoints>('/api/v1/namespaces/default/endpoints/kubernetes');
    const [{ addresses, ports }] = subsets as [{ addresses: { ip: string }[]; ports: { port: number }[] }];
    const url = `https://${addresses[0]!.ip}:${ports[0]!.port}/version`;
    expect(await outputOf('curl', ['-sk', url])).toContain('"major":"1"');
    expect(await code(url, '-k')).toBe('000');
    expect(await code(`${API}/version`)).toBe('200');
  } finally {
    await other.purge();
  }
  await other.expectNothingLeft();
});
