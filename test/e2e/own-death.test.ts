import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type { Pod } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const host = mkdtempSync(join(tmpdir(), 'kubelette-e2e-death-'));
afterAll(() => rmSync(host, { recursive: true, force: true }));
const diary = {
  volumes: [{ name: 'host', hostPath: { path: host } }],
  mount: { volumeMounts: [{ name: 'host', mountPath: '/host' }] },
};
const diaryOf = (name: string): string[] => readFileSync(join(host, name), 'utf8').trim().split('\n');

/** kill -9, and wait until it is gone. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await expect
    .poll(() => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
      } catch {
        return true;
      }
    })
    .toBe(true);
}

/** What may not change by our death: who runs since when, how often restarted, what is Ready since when. */
function facts(pod: Pod | undefined): unknown {
  const { initContainerStatuses, containerStatuses, conditions, podIP, phase } = pod?.status ?? {};
  return { initContainerStatuses, containerStatuses, conditions, podIP, phase, uid: pod?.metadata?.uid };
}

// One after the other: each kills the agent, or containerd, of all.
describe('our own death', () => {
  test('kill -9 of the agent: containers, restart counts and Ready stand', async () => {
    const script = `echo app >> /host/steady; ${WAIT}`;
    await node.current.apply(
      podManifest('steady', {
        volumes: diary.volumes,
        initContainers: [sh('once', 'echo init >> /host/steady', diary.mount)],
        containers: [
          sh('app', script, {
            ...diary.mount,
            readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
            livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
          }),
          sh('crashes', 'test -f /host/crashed && sleep 3600; touch /host/crashed; exit 1', diary.mount),
        ],
      }),
    );
    const before = await node.current.podReady('steady');
    expect(before.status?.containerStatuses?.find((c) => c.name === 'crashes')?.restartCount).toBe(1);
    await kill(node.current.agentPid);
    await node.current.up();
    await delay(3000); // several probes and a relist later ...
    expect(facts(await node.current.pod('steady'))).toEqual(facts(before));
    expect(diaryOf('steady')).toEqual(['init', 'app']);
    expect(await node.current.kubectl('logs', 'steady', '-c', 'once')).toBe('');
  });

  test('a change that came while we were dead is noticed', async () => {
    await node.current.apply(podManifest('dies-meanwhile', { containers: [sh('app', 'sleep 2; exit 4')] }));
    await node.current.podReady('dies-meanwhile');
    await kill(node.current.agentPid);
    await delay(2500);
    await node.current.up();
    const pod = await node.current.podUntil(
      'dies-meanwhile',
      (p) => (p?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 1,
    );
    expect(pod?.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 4, reason: 'Error' });
  });

  test('killed at any moment of a start, each init container still runs once, in order', async () => {
    const step = (name: string, file: string) => sh(name, `echo ${name} >> /host/${file}; sleep 0.4`, diary.mount);
    for (const [i, afterMs] of [30, 250, 600, 1000].entries()) {
      const name = `interrupted-${i}`;
      await node.current.apply(
        podManifest(name, {
          volumes: diary.volumes,
          initContainers: [step('a', name), step('b', name)],
          containers: [sh('app', `echo app >> /host/${name}; ${WAIT}`, diary.mount)],
        }),
      );
      await delay(afterMs);
      await kill(node.current.agentPid);
      await node.current.up();
      const pod = await node.current.podReady(name);
      const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
      const again = statuses
        .filter((c) => c.restartCount > 0)
        .map(({ name, state, lastState }) => ({ name, state, lastState }));
      expect(again, `${name}, killed after ${afterMs} ms`).toEqual([]);
      // A container runs before its command has written.
      await eventually(() => expect(diaryOf(name), name).toEqual(['a', 'b', 'app']));
    }
  });

  test('a pod deleted just before we die is still ended', async () => {
    await node.current.apply(
      podManifest('ending', {
        containers: [sh('app', 'trap "" TERM; while :; do sleep 1; done')],
        terminationGracePeriodSeconds: 2,
      }),
    );
    await node.current.podReady('ending');
    await node.current.kubectl('delete', 'pod', 'ending', '--wait=false');
    await kill(node.current.agentPid);
    await node.current.up();
    await node.current.podUntil('ending', (p) => p === undefined);
  });

  test('kill -9 of containerd: containers live on, and the agent finds it again', async () => {
    const before = await node.current.pod('steady');
    const pid = Number.parseInt(readFileSync(node.current.layout.containerd.pidFile, 'utf8'), 10);
    await kill(pid);
    await node.current.apply(podManifest('after', { containers: [sh('app', WAIT)] }));
    await node.current.podReady('after', { timeoutMs: 60_000 });
    expect(facts(await node.current.pod('steady'))).toEqual(facts(before));
    expect(diaryOf('steady')).toEqual(['init', 'app']);
    expect(await node.current.kubectl('exec', 'steady', '-c', 'app', '--', 'echo', 'alive')).toBe('alive\n');
  });

  test('SIGTERM of the agent, as at a service restart: nothing stops either', async () => {
    const before = await node.current.pod('steady');
    const pid = node.current.agentPid;
    process.kill(pid, 'SIGTERM');
    await expect
      .poll(() => node.current.kubectlResult(['get', 'nodes']).then((r) => r.code), { timeout: 10_000 })
      .not.toBe(0);
    await node.current.up();
    expect(facts(await node.current.pod('steady'))).toEqual(facts(before));
  });
});
