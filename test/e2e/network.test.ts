import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { startOutsider } from './harness/outsider.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
/** Serves its pod's name; ends at once. */
const web = (name: string, port: number, more: object = {}) =>
  sh('web', `mkdir /w; hostname > /w/index.html; httpd -p ${port} -h /w; ${WAIT}`, {
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    ...more,
    name,
  });

describe.concurrent('the pod network', () => {
  test('pods reach each other and the host reaches pods, each at an address of its own', async () => {
    await node.current.apply(podManifest('server', { containers: [web('web', 8080)] }));
    await node.current.apply(podManifest('client', { containers: [sh('app', WAIT)] }));
    const [server, client] = await Promise.all([node.current.podReady('server'), node.current.podReady('client')]);
    const address = server.status?.podIP;
    expect(address).toMatch(/^10\.\d+\.\d+\.\d+$/);
    expect(server.status?.podIPs).toEqual([{ ip: address }]);
    expect(client.status?.podIP).not.toBe(address);
    const url = `http://${address}:8080/`;
    expect(await node.current.kubectl('exec', 'client', '--', 'wget', '-qO-', url)).toBe('server\n');
    expect(await (await fetch(url)).text()).toBe('server\n');
    // Loopback is the pod's own.
    const own = await node.current.kubectlResult(['exec', 'client', '--', 'wget', '-qO-', 'http://127.0.0.1:8080/']);
    expect(own.code).not.toBe(0);
  });

  test('pods reach the world under the address of the host', async () => {
    await using outsider = await startOutsider();
    await node.current.apply(podManifest('traveller', { containers: [sh('app', WAIT)] }));
    await node.current.podReady('traveller');
    const seen = await node.current.kubectl('exec', 'traveller', '--', 'wget', '-qO-', outsider.url);
    expect(seen).toBe(outsider.hostAddress);
  });

  test('hosts, hostname and resolv.conf are as the kubelet writes them', async () => {
    await node.current.apply(
      podManifest('files', {
        dnsPolicy: 'Default',
        hostAliases: [{ ip: '192.0.2.7', hostnames: ['seven', 'lucky'] }],
        containers: [sh('app', WAIT)],
      }),
    );
    const pod = await node.current.podReady('files');
    const cat = (file: string) => node.current.kubectl('exec', 'files', '--', 'cat', file);
    expect(await cat('/etc/hostname')).toBe('files\n');
    expect((await cat('/etc/hosts')).replace(/[ \t]+/g, ' ').replaceAll('fe00::0', 'fe00::')).toBe(
      [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1 localhost',
        '::1 localhost ip6-localhost ip6-loopback',
        'fe00:: ip6-localnet',
        'fe00:: ip6-mcastprefix',
        'fe00::1 ip6-allnodes',
        'fe00::2 ip6-allrouters',
        `${pod.status?.podIP} files`,
        '',
        '# Entries added by HostAliases.',
        '192.0.2.7 seven lucky',
        '',
      ].join('\n'),
    );
    const nameserver = /nameserver \S+/.exec(readFileSync(node.current.resolvConf, 'utf8'))?.[0];
    expect(await cat('/etc/resolv.conf')).toContain(`${nameserver}\n`);
  });

  test('dnsPolicy None has exactly what dnsConfig says', async () => {
    await node.current.apply(
      podManifest('own-dns', {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['192.0.2.53'], searches: ['example.com'], options: [{ name: 'ndots', value: '2' }] },
        containers: [sh('app', WAIT)],
      }),
    );
    await node.current.podReady('own-dns');
    expect(await node.current.kubectl('exec', 'own-dns', '--', 'cat', '/etc/resolv.conf')).toBe(
      'search example.com\nnameserver 192.0.2.53\noptions ndots:2\n',
    );
  });

  test('hostNetwork shares the addresses and the name of the host', async () => {
    const port = 20_000 + (process.pid % 10_000);
    await node.current.apply(podManifest('on-host', { hostNetwork: true, containers: [web('web', port)] }));
    const pod = await node.current.podReady('on-host');
    expect(pod.status?.podIP).toBe(pod.status?.hostIP);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(
      readFileSync('/proc/sys/kernel/hostname', 'utf8'),
    );
  });

  test('hostPort leads from the host to the pod, until the pod is gone', async () => {
    const hostPort = 30_000 + (process.pid % 2000);
    await node.current.apply(
      podManifest('host-port', { containers: [web('web', 8080, { ports: [{ containerPort: 8080, hostPort }] })] }),
    );
    const pod = await node.current.podReady('host-port');
    const urls = [`http://${pod.status?.hostIP}:${hostPort}/`, `http://127.0.0.1:${hostPort}/`];
    for (const url of urls) expect(await (await fetch(url)).text(), url).toBe('host-port\n');
    await node.current.kubectl('delete', 'pod', 'host-port');
    for (const url of urls) await expect(fetch(url, { signal: AbortSignal.timeout(2000) }), url).rejects.toThrow();
  });

  test('containers of a pod share its network', async () => {
    const client = sh('client', WAIT);
    await node.current.apply(podManifest('pair', { containers: [web('web', 8080), client] }));
    await node.current.podReady('pair');
    const args = ['exec', 'pair', '-c', 'client', '--', 'wget', '-qO-', 'http://localhost:8080/'];
    expect(await node.current.kubectl(...args)).toBe('pair\n');
  });
});
