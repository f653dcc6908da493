import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, inject, test } from 'vitest';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { TestNode, useNode } from './harness/test-node.ts';

const node = useNode();
const words = async (pod: string): Promise<string[]> =>
  (await node.current.events(pod)).map((e) => `${e.type} ${e.reason} ${e.message}`);

describe.concurrent('images', () => {
  test('are pulled when absent, and by default not again for a fixed tag', async () => {
    await node.current.apply(podManifest('first', { containers: [sh('app', WAIT)] }));
    const first = await node.current.podReady('first');
    expect(first.spec?.containers[0]?.imagePullPolicy).toBe('IfNotPresent');
    expect(first.status?.containerStatuses?.[0]?.imageID).toMatch(/@sha256:[0-9a-f]{64}$|^sha256:[0-9a-f]{64}$/);
    await node.current.apply(podManifest('second', { containers: [sh('app', WAIT)] }));
    await node.current.podReady('second');
    expect(await words('second')).toContain(
      'Normal Pulled Container image "busybox:1.36" already present on machine and can be accessed by the pod',
    );
  });

  test('with the tag latest are looked for each time', async () => {
    await node.current.apply(podManifest('latest', { containers: [sh('app', WAIT, { image: 'busybox' })] }));
    const pod = await node.current.podReady('latest');
    expect(pod.spec?.containers[0]?.imagePullPolicy).toBe('Always');
    const events = await words('latest');
    expect(events).toContain('Normal Pulling Pulling image "busybox"');
    expect(events).toContainEqual(
      expect.stringMatching(
        /^Normal Pulled Successfully pulled image "busybox" in \S+ \(\S+ including waiting\)\. Image size: \d+ bytes\.$/,
      ),
    );
  });

  test('that do not exist: ErrImagePull, then ImagePullBackOff', async () => {
    const app = sh('app', WAIT, { image: 'no-such-image:1' });
    await node.current.apply(podManifest('absent', { containers: [app] }));
    const waiting = (reason: string) =>
      node.current.podUntil('absent', (p) => p?.status?.containerStatuses?.[0]?.state?.waiting?.reason === reason);
    const failed = await waiting('ErrImagePull');
    expect(failed?.status?.containerStatuses?.[0]?.state?.waiting?.message).toContain('no-such-image:1');
    const backOff = await waiting('ImagePullBackOff');
    expect(backOff?.status?.phase).toBe('Pending');
    expect(backOff?.status?.containerStatuses?.[0]?.state?.waiting?.message).toMatch(
      /^Back-off pulling image "no-such-image:1": ErrImagePull: /,
    );
    expect(await words('absent')).toEqual(
      expect.arrayContaining([
        'Warning Failed Error: ErrImagePull',
        'Normal BackOff Back-off pulling image "no-such-image:1"',
        'Warning Failed Error: ImagePullBackOff',
      ]),
    );
  });

  test('with pull policy Never must be there', async () => {
    const app = sh('app', WAIT, { image: 'absent-too:1', imagePullPolicy: 'Never' });
    await node.current.apply(podManifest('never', { containers: [app] }));
    const pod = await node.current.podUntil(
      'never',
      (p) => p?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImageNeverPull',
    );
    expect(pod?.status?.containerStatuses?.[0]?.state?.waiting?.message).toBe(
      'Container image "absent-too:1" is not present with pull policy of Never',
    );
  });

  test('with an impossible name are not even asked for', async () => {
    await node.current.apply(podManifest('invalid', { containers: [sh('app', WAIT, { image: 'Not/A:Name:At:All' })] }));
    const pod = await node.current.podUntil(
      'invalid',
      (p) => p?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'InvalidImageName',
    );
    expect(pod?.status?.containerStatuses?.[0]?.state?.waiting?.message).toContain('Not/A:Name:At:All');
  });
});

describe('a registry that comes and goes', () => {
  test('the pull is tried again until it works', async () => {
    await using registry = await startGate(inject('e2e').registryMirror);
    const other = await TestNode.start({ args: ['--registry-mirror', registry.url] });
    try {
      registry.refuse = (path) => path.includes('/library/busybox/');
      await other.apply(podManifest('patient', { containers: [sh('app', WAIT)] }));
      await other.podUntil(
        'patient',
        (p) => p?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImagePull',
      );
      registry.refuse = () => false;
      const pod = await other.podReady('patient', { timeoutMs: 40_000 });
      expect(pod.status?.containerStatuses?.[0]?.restartCount).toBe(0);
    } finally {
      await other.purge();
    }
    await other.expectNothingLeft();
  });
});

interface Gate extends AsyncDisposable {
  readonly url: string;
  /** Which paths are answered with 503. */
  refuse: (path: string) => boolean;
}

/** Stands before a registry and lets through what it is told to. */
async function startGate(registry: string): Promise<Gate> {
  const server: Server = createServer((incoming, outgoing) => {
    if (gate.refuse(incoming.url ?? '')) return void outgoing.writeHead(503).end();
    const { method, headers, url } = incoming;
    request(
      new URL(url ?? '/', registry),
      { method, headers: { ...headers, host: new URL(registry).host } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    )
      .on('error', () => outgoing.destroy())
      .end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gate: Gate = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuse: () => false,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return gate;
}
