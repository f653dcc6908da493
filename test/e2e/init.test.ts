import { describe, expect, test } from 'vitest';
import { ColumnsRecorder } from './harness/columns-recorder.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode({ args: ['--max-container-restart-period', '2'] });
const work = { volumes: [{ name: 'work', emptyDir: {} }] };
const mount = { volumeMounts: [{ name: 'work', mountPath: '/work' }] };

describe.concurrent('init containers', () => {
  test('run one after the other, and the app after all of them', async () => {
    await using columns = await ColumnsRecorder.start(node.current);
    const step = (name: string) =>
      sh(name, `echo ${name} begins >> /work/log; sleep 0.4; echo ${name} ends >> /work/log`, mount);
    await node.current.apply(
      podManifest('in-order', {
        ...work,
        initContainers: [step('first'), step('second')],
        containers: [sh('app', `echo app begins >> /work/log; ${WAIT}`, mount)],
      }),
    );
    await node.current.podReady('in-order');
    expect(await node.current.kubectl('exec', 'in-order', '--', 'cat', '/work/log')).toBe(
      'first begins\nfirst ends\nsecond begins\nsecond ends\napp begins\n',
    );
    const seen = columns.of('in-order').filter((c) => !c.includes('Pending'));
    expect(seen[0]).toBe('0/1 Init:0/2 0');
    expect(seen[1]).toBe('0/1 Init:1/2 0');
    expect(seen.at(-1)).toBe('1/1 Running 0');
    for (const between of seen.slice(2, -1)) expect(['0/1 PodInitializing 0', '0/1 Running 0']).toContain(between);
  });

  test('are retried with back-off until they succeed', async () => {
    await using columns = await ColumnsRecorder.start(node.current);
    await node.current.apply(
      podManifest('retried', {
        ...work,
        initContainers: [sh('flaky', 'echo x >> /work/n; test $(grep -c x /work/n) -ge 3', mount)],
        containers: [sh('app', WAIT)],
      }),
    );
    const pod = await node.current.podReady('retried');
    expect(pod.status?.initContainerStatuses?.[0]).toMatchObject({
      restartCount: 2,
      ready: true,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
    });
    const seen = columns.of('retried');
    expect(seen).toContain('0/1 Init:0/1 0');
    expect(seen.some((c) => c.includes('Init:Error') || c.includes('Init:CrashLoopBackOff'))).toBe(true);
    expect(seen.findIndex((c) => c.includes('Init:CrashLoopBackOff'))).toBeLessThan(seen.indexOf('1/1 Running 0'));
    const backOff = (await node.current.events('retried')).filter((e) => e.reason === 'BackOff');
    expect(backOff.map((e) => e.message)).toEqual([
      `Back-off restarting failed container flaky in pod retried_default(${pod.metadata?.uid})`,
    ]);
  });

  test('fail the pod with restartPolicy Never, and the app never starts', async () => {
    await node.current.apply(
      podManifest('failed', {
        restartPolicy: 'Never',
        initContainers: [sh('bad', 'exit 7'), sh('next', 'true')],
        containers: [sh('app', WAIT)],
      }),
    );
    const pod = await node.current.podUntil('failed', (p) => p?.status?.phase === 'Failed');
    const [bad, next] = pod?.status?.initContainerStatuses ?? [];
    expect(bad).toMatchObject({ restartCount: 0, state: { terminated: { exitCode: 7, reason: 'Error' } } });
    expect(next).toMatchObject({ state: { waiting: { reason: 'PodInitializing' } } });
    expect(pod?.status?.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'PodInitializing' } });
    expect(await node.current.kubectl('get', 'pod', 'failed')).toMatch(/^failed +0\/1 +Init:Error +0 /m);
    const started = (await node.current.events('failed')).filter((e) => e.reason === 'Started');
    expect(started.map((e) => e.involvedObject.fieldPath)).toEqual(['spec.initContainers{bad}']);
  });

  test('are removed from the runtime once they are done; their logs and state stay', async () => {
    await node.current.apply(
      podManifest('done', {
        initContainers: [sh('hello', 'echo hello from init')],
        containers: [sh('app', WAIT)],
      }),
    );
    const pod = await node.current.podReady('done');
    const status = pod.status?.initContainerStatuses?.[0];
    expect(status?.state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    const id = status?.containerID?.replace('containerd://', '') ?? '';
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    await eventually(async () => expect(await node.current.ctr('containers', 'list', '-q')).not.toContain(id));
    expect(await node.current.kubectl('logs', 'done', '-c', 'hello')).toBe('hello from init\n');
    const later = await node.current.pod('done');
    expect(later.status?.initContainerStatuses).toEqual(pod.status?.initContainerStatuses);
  });

  test('a sidecar starts before the app, keeps running, and is ready only when its startup probe is', async () => {
    await using columns = await ColumnsRecorder.start(node.current);
    await node.current.apply(
      podManifest('sidecar', {
        ...work,
        initContainers: [
          sh('side', `sleep 1; touch /tmp/up; echo side >> /work/log; ${WAIT}`, {
            ...mount,
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['cat', '/tmp/up'] }, periodSeconds: 1 },
          }),
          sh('step', 'echo step >> /work/log', mount),
        ],
        containers: [sh('app', `echo app >> /work/log; ${WAIT}`, mount)],
      }),
    );
    await node.current.podReady('sidecar');
    expect(await node.current.kubectl('exec', 'sidecar', '-c', 'app', '--', 'cat', '/work/log')).toBe(
      'side\nstep\napp\n',
    );
    expect(columns.of('sidecar').at(-1)).toBe('2/2 Running 0');
  });
});
