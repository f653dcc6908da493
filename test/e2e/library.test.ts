import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { instanceLayout } from '../../src/lib/instance.ts';
import type { KubeletteNode, NodeOptions } from '../../src/node.ts';
import { leftoversOf, networkNamespaces } from './harness/leftovers.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';

// The package as published: dist/node.js, with the types of its source.
const library = join(import.meta.dirname, '../../dist/node.js');
const { startNode } = (await import(library)) as { startNode(options?: NodeOptions): Promise<KubeletteNode> };

test('a node for as long as a block: apply, wait, logs, exec, fetch, and nothing left', async () => {
  const { directory, registryMirror, resolvConf } = inject('e2e');
  const rootDir = mkdtempSync(join(directory, 'node-'));
  const layout = instanceLayout(rootDir);
  let namespaces: Set<number>;
  {
    await using node = await startNode({ rootDir, registryMirror, resolvConf });
    await node.apply(
      podManifest('web', {
        initContainers: [
          sh('page', 'echo from init > /w/index.html', { volumeMounts: [{ name: 'w', mountPath: '/w' }] }),
        ],
        containers: [
          sh('app', `echo serving; httpd -p 80 -h /w; ${WAIT}`, {
            volumeMounts: [{ name: 'w', mountPath: '/w' }],
            readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 },
          }),
        ],
        volumes: [{ name: 'w', emptyDir: {} }],
      }),
    );
    const pod = await node.waitFor('web');
    expect(await (await fetch(`http://${pod.status?.podIP}/`)).text()).toBe('from init\n');
    expect(await node.logs('web')).toBe('serving\n');
    expect(await node.exec('web', ['sh', '-c', 'cat; echo oops >&2; exit 5'], { stdin: 'typed' })).toEqual({
      exitCode: 5,
      stdout: 'typed',
      stderr: 'oops\n',
    });
    await expect(node.waitFor('web', 'Impossible', { timeoutMs: 300 })).rejects.toThrow('web');
    await expect(node.apply('kind: Pod\napiVersion: v1\nmetadata: {name: Bad_Name}\n')).rejects.toThrow(
      'metadata.name',
    );
    // Running is Ready, for a moment, without a probe.
    const never = { readinessProbe: { exec: { command: ['false'] } } };
    await node.apply(podManifest('job', { restartPolicy: 'Never', containers: [sh('app', 'exit 3', never)] }));
    await expect(node.waitFor('job')).rejects.toThrow(
      'pod job will not be Ready: phase Failed; app ended with exit code 3',
    );
    namespaces = networkNamespaces(layout);
    expect(namespaces.size).toBeGreaterThan(0);
  }
  // A root directory that the caller named is the caller's; everything else is gone.
  const left = (await leftoversOf(layout, namespaces)).filter((what) => what !== `directory ${rootDir}`);
  expect(left).toEqual([]);
  expect(existsSync(rootDir)).toBe(true);
});

test('a node that is stopped ends whoever waits, and says so to whoever calls it', async () => {
  const { registryMirror, resolvConf } = inject('e2e');
  await using node = await startNode({ registryMirror, resolvConf });
  await node.apply(podManifest('app', { containers: [sh('app', WAIT)] }));
  const waiting = expect(node.waitFor('app', 'Impossible')).rejects.toThrow(
    'the node was stopped while pod app was waited for',
  );
  await node.stop();
  await waiting;
  await expect(node.apply(podManifest('app', { containers: [] }))).rejects.toThrow('the node has been stopped');
  await expect(node.exec('app', ['true'])).rejects.toThrow('the node has been stopped');
});
