import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const host = mkdtempSync(join(tmpdir(), 'kubelette-e2e-volumes-'));
afterAll(() => rmSync(host, { recursive: true, force: true }));
const mounted = (mountPath: string, more = {}) => ({ volumeMounts: [{ name: 'v', mountPath, ...more }] });

describe.concurrent('volumes and what a container gets', () => {
  test('an emptyDir is shared by the containers of a pod, survives their restarts and ends with the pod', async () => {
    await node.current.apply(
      podManifest('shared', {
        volumes: [{ name: 'v', emptyDir: {} }],
        containers: [
          sh('writer', `echo x >> /a/file; test $(grep -c x /a/file) -ge 2 || exit 1; ${WAIT}`, mounted('/a')),
          sh('reader', WAIT, mounted('/b', { readOnly: true })),
        ],
      }),
    );
    const pod = await node.current.podUntil('shared', (p) => {
      const writer = p?.status?.containerStatuses?.find((c) => c.name === 'writer');
      return writer?.restartCount === 1 && writer.ready;
    });
    const inReader = (script: string) =>
      node.current.kubectlResult(['exec', 'shared', '-c', 'reader', '--', 'sh', '-c', script]);
    expect((await inReader('cat /b/file')).stdout).toBe('x\nx\n');
    const write = await inReader('echo y > /b/file');
    expect(write.code).not.toBe(0);
    expect(write.stderr).toContain('Read-only file system');
    const directory = join(node.current.layout.podsDir, pod?.metadata?.uid ?? '');
    expect(existsSync(directory)).toBe(true);
    await node.current.kubectl('delete', 'pod', 'shared');
    await eventually(() => expect(existsSync(directory)).toBe(false));
  });

  test('an emptyDir in memory is a tmpfs of its size', async () => {
    await node.current.apply(
      podManifest('memory', {
        volumes: [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } }],
        containers: [sh('app', WAIT, mounted('/m'))],
      }),
    );
    await node.current.podReady('memory');
    const line = await node.current.kubectl('exec', 'memory', '--', 'sh', '-c', 'grep " /m " /proc/mounts');
    expect(line).toMatch(/^tmpfs \/m tmpfs .*\bsize=8192k/);
  });

  test('subPath shows one part of a volume', async () => {
    await node.current.apply(
      podManifest('sub-path', {
        volumes: [{ name: 'v', emptyDir: {} }],
        initContainers: [
          sh('fill', 'mkdir /v/part; echo inside > /v/part/file; echo outside > /v/file', mounted('/v')),
        ],
        containers: [sh('app', WAIT, mounted('/p', { subPath: 'part' }))],
      }),
    );
    await node.current.podReady('sub-path');
    expect(await node.current.kubectl('exec', 'sub-path', '--', 'cat', '/p/file')).toBe('inside\n');
  });

  test('a hostPath is a file or directory of the host, made where its type says so', async () => {
    writeFileSync(join(host, 'file'), 'from the host\n');
    await node.current.apply(
      podManifest('host-path', {
        volumes: [
          { name: 'f', hostPath: { path: join(host, 'file'), type: 'File' } },
          { name: 'd', hostPath: { path: join(host, 'made'), type: 'DirectoryOrCreate' } },
        ],
        containers: [
          sh('app', `cp /f /d/copy; ${WAIT}`, {
            volumeMounts: [
              { name: 'f', mountPath: '/f' },
              { name: 'd', mountPath: '/d' },
            ],
          }),
        ],
      }),
    );
    await node.current.podReady('host-path');
    await eventually(() => expect(existsSync(join(host, 'made/copy'))).toBe(true));
    expect(readFileSync(join(host, 'made/copy'), 'utf8')).toBe('from the host\n');
    await node.current.kubectl('delete', 'pod', 'host-path');
    expect(existsSync(join(host, 'made/copy'))).toBe(true);
  });

  test('a hostPath of the wrong type holds the pod back, with the reason, until it is right', async () => {
    const path = join(host, 'later');
    await node.current.apply(
      podManifest('wrong-type', {
        volumes: [{ name: 'v', hostPath: { path, type: 'Directory' } }],
        containers: [sh('app', WAIT, mounted('/v'))],
      }),
    );
    await eventually(async () => {
      const words = (await node.current.events('wrong-type')).map((e) => `${e.type} ${e.reason} ${e.message}`);
      expect(words).toContainEqual(
        expect.stringMatching(/^Warning FailedMount MountVolume.SetUp failed for volume "v" : hostPath .*later/),
      );
    });
    expect((await node.current.pod('wrong-type')).status?.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'ContainerCreating' },
    });
    mkdirSync(path);
    await node.current.podReady('wrong-type', { timeoutMs: 60_000 });
  });

  test('env, args, workingDir, user and limits reach the process', async () => {
    const show =
      'echo "$0 $1 $GREETING $MY_IP"; pwd; id -u; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max';
    await node.current.apply(
      podManifest('process', {
        containers: [
          {
            name: 'app',
            image: 'busybox:1.36',
            command: ['sh', '-c'],
            args: [`(${show}) 2>/dev/null; ${WAIT}`, 'zero', '$(NAME)'],
            workingDir: '/tmp',
            env: [
              { name: 'NAME', value: 'world' },
              { name: 'GREETING', value: 'hello $(NAME)' },
              { name: 'MY_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            ],
            resources: { limits: { memory: '32Mi' } },
            securityContext: { runAsUser: 1234 },
          },
        ],
      }),
    );
    const pod = await node.current.podReady('process');
    const expected = `zero world hello world ${pod.status?.podIP}\n/tmp\n1234\n${32 * 1024 * 1024}\n`;
    await eventually(async () => expect(await node.current.kubectl('logs', 'process')).toBe(expected));
  });
});
