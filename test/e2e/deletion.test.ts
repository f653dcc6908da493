import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Pod } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const host = mkdtempSync(join(tmpdir(), 'kubelette-e2e-deletion-'));
afterAll(() => rmSync(host, { recursive: true, force: true }));
const diary = {
  volumes: [{ name: 'host', hostPath: { path: host } }],
  mount: { volumeMounts: [{ name: 'host', mountPath: '/host' }] },
};
/** Ignores SIGTERM. */
const STUBBORN = 'trap "" TERM; while :; do sleep 1; done';

async function deleteAndTime(...args: string[]): Promise<number> {
  const began = performance.now();
  await node.current.kubectl('delete', 'pod', ...args);
  return performance.now() - began;
}

async function expectGone(pod: Pod): Promise<void> {
  const { uid, name } = pod.metadata ?? {};
  const { podsDir, podLogsDir } = node.current.layout;
  const ids = [...(pod.status?.containerStatuses ?? [])].map((c) => c.containerID?.replace('containerd://', ''));
  await eventually(async () => {
    const containers = (await node.current.ctr('containers', 'list', '-q'))
      .split('\n')
      .filter((id) => ids.includes(id));
    const logs = readdirSync(podLogsDir).filter((n) => n.includes(`_${name}_`));
    const directory = existsSync(join(podsDir, uid ?? ''));
    expect({ directory, logs, containers }).toEqual({ directory: false, logs: [], containers: [] });
  });
}

describe.concurrent('deletion', () => {
  test('SIGTERM first: a process that obeys ends in its own way, at once', async () => {
    const script = 'trap "echo bye > /host/obedient; exit 0" TERM; sleep 3600 & wait';
    const spec = {
      volumes: diary.volumes,
      containers: [sh('app', script, diary.mount)],
      terminationGracePeriodSeconds: 30,
    };
    await node.current.apply(podManifest('obedient', spec));
    const pod = await node.current.podReady('obedient');
    expect(await deleteAndTime('obedient')).toBeLessThan(10_000);
    expect(readFileSync(join(host, 'obedient'), 'utf8')).toBe('bye\n');
    await expectGone(pod);
    const missing = await node.current.kubectlResult(['get', 'pod', 'obedient']);
    expect(missing).toMatchObject({ code: 1, stderr: 'Error from server (NotFound): pods "obedient" not found\n' });
  });

  test('SIGKILL when the grace period is over', async () => {
    await node.current.apply(
      podManifest('stubborn', { containers: [sh('app', STUBBORN)], terminationGracePeriodSeconds: 3 }),
    );
    const pod = await node.current.podReady('stubborn');
    const took = await deleteAndTime('stubborn');
    expect(took).toBeGreaterThan(2900);
    expect(took).toBeLessThan(10_000);
    await expectGone(pod);
  });

  test('--now cuts it to a second, --grace-period to what it says', async () => {
    for (const [name, args] of [
      ['now', ['--now']],
      ['shorter', ['--grace-period=2']],
    ] as const) {
      await node.current.apply(
        podManifest(name, { containers: [sh('app', STUBBORN)], terminationGracePeriodSeconds: 60 }),
      );
      await node.current.podReady(name);
      expect(await deleteAndTime(name, ...args), name).toBeLessThan(10_000);
    }
  });

  test('--force removes the object at once, and everything else soon', async () => {
    await node.current.apply(
      podManifest('forced', { containers: [sh('app', STUBBORN)], terminationGracePeriodSeconds: 60 }),
    );
    const pod = await node.current.podReady('forced');
    expect(await deleteAndTime('forced', '--force', '--grace-period=0')).toBeLessThan(5000);
    await expectGone(pod);
  });

  test('a preStop hook comes before SIGTERM and uses up the grace period', async () => {
    const hooked = sh('app', 'trap "echo term >> /host/hook; exit 0" TERM; sleep 3600 & wait', {
      ...diary.mount,
      lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo hook >> /host/hook; sleep 0.5'] } } },
    });
    const spec = { volumes: diary.volumes, containers: [hooked], terminationGracePeriodSeconds: 10 };
    await node.current.apply(podManifest('hooked', spec));
    await node.current.podReady('hooked');
    await node.current.kubectl('delete', 'pod', 'hooked');
    expect(readFileSync(join(host, 'hook'), 'utf8')).toBe('hook\nterm\n');
  });

  test('a terminating pod is not Ready, and says Terminating', async () => {
    const spec = { containers: [sh('app', STUBBORN)], terminationGracePeriodSeconds: 3 };
    await node.current.apply(podManifest('leaving', spec));
    await node.current.podReady('leaving');
    await node.current.kubectl('delete', 'pod', 'leaving', '--wait=false');
    expect(await node.current.kubectl('get', 'pod', 'leaving')).toMatch(/^leaving +[01]\/1 +Terminating /m);
    await node.current.podUntil('leaving', (p) => p === undefined);
  });

  test('a pod that is still being made goes too', async () => {
    const spec = { initContainers: [sh('slow', STUBBORN)], containers: [sh('app', WAIT)] };
    await node.current.apply(podManifest('early', spec));
    await node.current.podUntil('early', (p) => p?.status?.initContainerStatuses?.[0]?.state?.running !== undefined);
    expect(await deleteAndTime('early')).toBeLessThan(10_000);
  });

  test('a namespace takes its pods with it', async () => {
    await node.current.kubectl('create', 'namespace', 'doomed');
    await node.current.apply(podManifest('inside', { containers: [sh('app', WAIT)] }), '-n', 'doomed');
    const pod = await node.current.podReady('inside', { namespace: 'doomed' });
    await node.current.kubectl('delete', 'namespace', 'doomed', '--timeout=30s');
    await expectGone(pod);
  });
});
