import { describe, expect, test } from 'vitest';
import type { Pod } from '../../src/api/generated/types.ts';
import { podManifest, sh } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const patient = { timeoutMs: 40_000 };

/** Milliseconds, in whole seconds, between the end of the run before and the start of this one. */
function pauseMs(pod: Pod | undefined): number {
  const status = pod?.status?.containerStatuses?.[0];
  const began = status?.state?.running?.startedAt ?? status?.state?.terminated?.startedAt;
  return Date.parse(String(began)) - Date.parse(String(status?.lastState?.terminated?.finishedAt));
}

describe.concurrent('restarts', () => {
  test('Always: at once, then after 10 s', async () => {
    await node.current.apply(podManifest('always', { containers: [sh('app', 'echo bye; sleep 0.3; exit 3')] }));
    const first = await node.current.podUntil('always', (p) => p?.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(pauseMs(first)).toBeLessThanOrEqual(1000);
    const waiting = await node.current.podUntil(
      'always',
      (p) => p?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
    );
    expect(waiting?.status).toMatchObject({
      phase: 'Running',
      containerStatuses: [
        {
          restartCount: 1,
          ready: false,
          started: false,
          state: {
            waiting: {
              reason: 'CrashLoopBackOff',
              message: `back-off 10s restarting failed container=app pod=always_default(${waiting?.metadata?.uid})`,
            },
          },
          lastState: { terminated: { exitCode: 3, reason: 'Error' } },
        },
      ],
    });
    expect(await node.current.kubectl('logs', 'always', '--previous')).toBe('bye\n');
    const second = await node.current.podUntil(
      'always',
      (p) => p?.status?.containerStatuses?.[0]?.restartCount === 2,
      patient,
    );
    expect(pauseMs(second)).toBeGreaterThanOrEqual(9000); // whole seconds on both sides
    expect(pauseMs(second)).toBeLessThanOrEqual(12_000);
  });

  test('OnFailure: until it succeeds', async () => {
    const volumes = [{ name: 'v', emptyDir: {} }];
    await node.current.apply(
      podManifest('on-failure', {
        restartPolicy: 'OnFailure',
        volumes,
        containers: [
          sh('app', 'test -f /v/x && exit 0; touch /v/x; exit 1', { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
        ],
      }),
    );
    const pod = await node.current.podUntil('on-failure', (p) => p?.status?.phase === 'Succeeded');
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    expect(await node.current.kubectl('get', 'pod', 'on-failure')).toMatch(/^on-failure +0\/1 +Completed +1 /m);
  });

  test('RestartAllContainers: also what had ended for good begins anew; nobody is asked to end in peace', async () => {
    const mount = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };
    const rule = { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } };
    const preStop = { exec: { command: ['touch', '/v/asked'] } };
    await node.current.apply(
      podManifest('all-anew', {
        restartPolicy: 'OnFailure',
        terminationGracePeriodSeconds: 20,
        volumes: [{ name: 'v', emptyDir: {} }],
        containers: [
          sh('app', 'sleep 1; test -e /v/a && exec sleep 1000; touch /v/a; exit 42', {
            ...mount,
            restartPolicy: 'OnFailure',
            restartPolicyRules: [rule],
          }),
          sh('done', 'echo x >> /v/runs', mount),
          sh('deaf', 'trap : TERM; while :; do sleep 1; done', { ...mount, lifecycle: { preStop } }),
        ],
      }),
    );
    const pod = await node.current.podUntil('all-anew', (p) => {
      const [app, , done] = p?.status?.containerStatuses ?? [];
      return app?.restartCount === 1 && app.state?.running !== undefined && done?.state?.terminated !== undefined;
    });
    const message = 'The container is removed because RestartAllContainers in place';
    const lastState = { terminated: { reason: 'RestartingAllContainers', message, exitCode: 137 } };
    expect(pod?.status).toMatchObject({
      phase: 'Running',
      containerStatuses: ['app', 'deaf', 'done'].map((name) => ({ name, restartCount: 1, lastState })),
    });
    expect(pod?.status?.conditions?.at(-1)).toMatchObject({ type: 'AllContainersRestarting', status: 'False' });
    expect(await node.current.kubectl('exec', 'all-anew', '-c', 'app', '--', 'sh', '-c', 'cat /v/runs; ls /v')).toBe(
      'x\nx\na\nruns\n',
    );
    const events = await node.current.events('all-anew');
    expect(events.filter((e) => e.reason === 'Killing').map((e) => e.message)).toEqual(['killing']);
  });

  test('Never: one container fails, so the pod does, with its message', async () => {
    await node.current.apply(
      podManifest('never', {
        restartPolicy: 'Never',
        containers: [sh('good', 'true'), sh('bad', 'sleep 1; echo why > /dev/termination-log; exit 5')],
      }),
    );
    const pod = await node.current.podUntil('never', (p) => p?.status?.phase === 'Failed');
    expect(pod?.status?.containerStatuses?.map((c) => c.state?.terminated)).toMatchObject([
      { exitCode: 5, reason: 'Error', message: 'why\n' },
      { exitCode: 0, reason: 'Completed' },
    ]);
  });

  test('whatever a container makes of its /etc/hosts, the next one gets it whole, and the agent does not read it', async () => {
    const grow = 'dd if=/dev/zero of=/etc/hosts bs=1 count=1 seek=3G';
    const volumes = [{ name: 'v', emptyDir: {} }];
    const app = sh('app', `test -e /v/x && exec sleep 1000; touch /v/x; ${grow}; exit 1`, {
      volumeMounts: [{ name: 'v', mountPath: '/v' }],
    });
    await node.current.apply(podManifest('hosts', { volumes, containers: [app] }));
    await node.current.podUntil(
      'hosts',
      (p) =>
        p?.status?.containerStatuses?.[0]?.state?.running !== undefined &&
        p.status.containerStatuses[0].restartCount === 1,
    );
    expect(await node.current.kubectl('exec', 'hosts', '--', 'tail', '-n', '1', '/etc/hosts')).toMatch(/\thosts\n$/);
  });

  test('OOMKilled is told apart from other ends', async () => {
    const hungry = sh('app', 'x=a; while :; do x=$x$x; done', { resources: { limits: { memory: '16Mi' } } });
    await node.current.apply(podManifest('oom', { restartPolicy: 'Never', containers: [hungry] }));
    const pod = await node.current.podUntil('oom', (p) => p?.status?.phase === 'Failed');
    expect(pod?.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 137,
      reason: 'OOMKilled',
    });
  });
});

describe('a ceiling for the back-off', () => {
  const quick = useNode({ args: ['--max-container-restart-period', '1'] });

  test('makes restarts come every second', async () => {
    await quick.current.apply(podManifest('quick', { containers: [sh('app', 'exit 1')] }));
    const began = performance.now();
    await quick.current.podUntil('quick', (p) => (p?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 4);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
