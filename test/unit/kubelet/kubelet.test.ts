import { describe, expect, it } from 'vitest';
import type { Pod } from '../../../src/api/generated/types.ts';
import { EVENTS, LEASES, NODES, PODS } from '../../../src/api/resources.ts';
import { ContainerState } from '../../../src/cri/generated/cri.ts';
import { TestKubelet } from './test-kubelet.ts';

const PLAIN = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: app, image: busybox, command: [sleep, '600']}]
`;

const TWO_INIT = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  initContainers: [{name: a, image: busybox}, {name: b, image: busybox}]
  containers: [{name: app, image: busybox}]
`;

async function deletePod(t: TestKubelet, gracePeriodSeconds?: number): Promise<void> {
  const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
  await t.client.delete(PODS, { name: 'p', namespace: 'NS' }, options);
  await t.settle();
}

describe('a pod', () => {
  it('runs, and nothing is done without need', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.calls()).toEqual(['runPodSandbox p', 'createContainer app', 'startContainer app']);
    expect(t.cgroupsSet).toEqual(['p']);
    const writes = t.client.writes.length;
    await t.advance(60_000);
    // Only the node's lease; no status again and again, no call that changes anything.
    expect(t.client.writes.slice(writes).every((w) => w.resource === 'leases')).toBe(true);
    expect(t.calls()).toHaveLength(3);
  });

  it('is created, started and shown ready in order: the API server never says more than is true', async () => {
    await using t = new TestKubelet();
    t.fake.latencyMs.runPodSandbox = 100;
    t.fake.latencyMs.startContainer = 50;
    await t.start();
    await t.apply(PLAIN);
    await t.advance(99);
    expect(t.status.conditions?.find((c) => c.type === 'PodReadyToStartContainers')?.status).toBe('False');
    await t.advance(1);
    expect(t.status.conditions?.find((c) => c.type === 'PodReadyToStartContainers')?.status).toBe('True');
    expect(t.status.podIP).toBe('10.244.0.2');
    await t.advance(49);
    expect(t.row()).toBe('0/1 ContainerCreating 0');
    await t.advance(1);
    expect(t.row()).toBe('1/1 Running 0');
  });

  it('whose init container waited for a Service gives the app its variables: what was created before is made anew', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(TWO_INIT.replaceAll('busybox', 'busybox:1'));
    expect(t.calls().slice(1)).toEqual([
      'createContainer a',
      'startContainer a',
      'createContainer b',
      'createContainer app',
    ]);
    t.fake.exit(t.fake.container('a')!.id, 0);
    await t.settle();
    t.serviceEnv.set('DB_SERVICE_HOST', '10.96.0.7');
    t.fake.exit(t.fake.container('b')!.id, 0);
    await t.settle();
    expect(t.row()).toBe('1/1 Running 0');
    const calls = ['startContainer b', 'removeContainer app', 'createContainer app', 'startContainer app'];
    expect(t.calls().slice(5, 9)).toEqual(calls);
  });

  it('is restarted within the turn in which its exit is told, before CRI says so', async () => {
    await using t = new TestKubelet({ exitReportLagMs: 70 });
    await t.start();
    await t.apply(PLAIN);
    t.fake.exit(t.fake.container('app')!.id, 1);
    await t.settle();
    expect(t.calls().slice(3)).toEqual(['createContainer app', 'startContainer app']);
    expect(t.row()).toBe('1/1 Running 1');
    expect(t.status.containerStatuses![0]!.lastState!.terminated).toMatchObject({ exitCode: 1, reason: 'Error' });
  });

  it('that crashes at once, before its start has even returned, is shown in order', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { exitAfterMs: 5, exitCode: 1 });
    t.fake.latencyMs.containerStatus = 20;
    await t.start();
    await t.apply(PLAIN);
    await t.advance(10_200);
    const rows = t.rows().filter((row) => !row.includes('Running'));
    expect(rows).toEqual([
      '0/1 Pending 0',
      '0/1 ContainerCreating 0',
      '0/1 Error 0',
      '0/1 Error 1',
      '0/1 CrashLoopBackOff 1',
      '0/1 Error 2',
      '0/1 CrashLoopBackOff 2',
    ]);
  });

  it('is killed with its grace period when liveness fails; the kill knows its reason', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { stopAfterMs: 1500 });
    await t.start();
    await t.apply(PLAIN.replace('busybox,', 'busybox, livenessProbe: {tcpSocket: {port: 1}},'));
    t.probes.decide('UID', t.fake.container('app')!.id, 'liveness', 'failure');
    await t.settle();
    expect(t.fake.calls.findLast((c) => c.method === 'stopContainer')!.args[1]).toBe(30);
    await t.advance(1500);
    expect(t.row()).toBe('1/1 Running 1');
    expect(t.kubelet.kills('UID')).toMatchObject([
      {
        container: 'app',
        reason: 'livenessProbe',
        message: 'Container app failed liveness probe, will be restarted',
        graceSeconds: 30,
      },
    ]);
  });

  it('becomes ready and unready as its readiness probe says', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN.replace('busybox,', 'busybox, readinessProbe: {tcpSocket: {port: 1}},'));
    const { id } = t.fake.container('app')!;
    expect(t.row()).toBe('0/1 Running 0');
    t.probes.decide('UID', id, 'readiness', 'success');
    await t.settle();
    expect(t.row()).toBe('1/1 Running 0');
    t.probes.decide('UID', id, 'readiness', 'failure');
    await t.settle();
    expect(t.row()).toBe('0/1 Running 0');
  });

  it('keeps the conditions that others set', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN.replace('spec:', 'spec:\n  readinessGates: [{conditionType: example.com/go}]'));
    expect(t.status.conditions?.find((c) => c.type === 'Ready')?.reason).toBe('ReadinessGatesNotReady');
    const patch = { status: { conditions: [{ type: 'example.com/go', status: 'True' }] } };
    await t.client.patch(PODS, { name: 'p', namespace: 'NS' }, 'strategic', patch, { subresource: 'status' });
    await t.settle();
    expect(t.status.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
    expect(t.status.conditions?.find((c) => c.type === 'example.com/go')?.status).toBe('True');
  });

  it('starts its containers in order, a postStart hook holding up the next', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - {name: first, image: x, lifecycle: {postStart: {exec: {command: [sleep, '3']}}}}
  - {name: second, image: x}
`);
    expect(t.calls()).toEqual([
      'runPodSandbox p',
      'createContainer first',
      'createContainer second',
      'startContainer first',
    ]);
    expect(t.row()).toBe('0/2 ContainerCreating 0');
    await t.advance(3000);
    expect(t.calls().at(-1)).toBe('startContainer second');
    expect(t.row()).toBe('2/2 Running 0');
  });

  it('comes back when its sandbox dies, its init containers first, its counts kept', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('a', { exitAfterMs: 10 });
    t.fake.onStart('b', { exitAfterMs: 10 });
    await t.start();
    await t.apply(TWO_INIT);
    await t.advance(30);
    expect(t.row()).toBe('1/1 Running 0');
    const sandbox = [...t.fake.sandboxes.keys()][0]!;
    t.fake.killSandbox(sandbox);
    await t.advance(10_000);
    await t.advance(30);
    expect(t.events()).toContain('Normal SandboxChanged Pod sandbox changed, it will be killed and re-created.|1|');
    expect(t.row()).toBe('1/1 Running 1');
    expect(t.status.initContainerStatuses!.map((s) => s.restartCount)).toEqual([1, 1]);
    expect(t.status.podIPs).toEqual([{ ip: '10.244.0.3' }]);
  });

  it('tells why its sandbox could not be made, and tries again', async () => {
    await using t = new TestKubelet();
    await t.start();
    t.fake.failNext('runPodSandbox', 'no network');
    await t.apply(PLAIN);
    expect(t.events()).toContain(
      'Warning FailedCreatePodSandBox Failed to create pod sandbox: rpc error: code = Unknown desc = no network|1|',
    );
    await t.advance(1000);
    expect(t.row()).toBe('1/1 Running 0');
  });
});

describe('admission', () => {
  const wanting = (name: string, spec: Partial<Pod['spec']> = {}, cpu = '0'): Pod => ({
    metadata: { name, uid: name },
    spec: { ...spec, containers: [{ name: 'app', image: 'busybox', resources: { requests: { cpu } } }] },
  });

  it('a pod that asks for more than there is fails, and nothing of it is started', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(wanting('p', {}, '64'));
    const why = "Node didn't have enough resource: cpu, requested: 64000, used: 0, capacity: 2000";
    expect(t.row()).toBe('0/1 OutOfcpu 0');
    expect(t.status).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu', message: `Pod was rejected: ${why}` });
    expect(t.events()).toEqual([`Warning OutOfcpu ${why}|1|`]);
    expect(t.calls()).toEqual([]);
    await t.restart();
    expect(t.status).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' });
    expect(t.calls()).toEqual([]);
    await deletePod(t);
    expect(t.exists()).toBe(false);
  });

  it('what runs counts; what has ended or was rejected does not', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { exitAfterMs: 1000, exitCode: 0 }, {});
    await t.start();
    await t.apply(wanting('a', { restartPolicy: 'Never' }, '2'));
    await t.apply(wanting('b', {}, '2'));
    expect([t.row('a'), t.row('b')]).toEqual(['1/1 Running 0', '0/1 OutOfcpu 0']);
    await t.advance(1000);
    await t.apply(wanting('c', {}, '2'));
    expect([t.row('a'), t.row('c')]).toEqual(['0/1 Completed 0', '1/1 Running 0']);
  });

  it('a pod that the node has accepted stays, and comes before one that came while we were away', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(wanting('b', { nodeSelector: { 'kubernetes.io/os': 'linux' } }, '2'));
    t.kubelet.stop();
    await t.client.patch(NODES, { name: 'node' }, 'merge', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } });
    await t.apply(wanting('a', { tolerations: [{ operator: 'Exists' }] }, '1'));
    await t.restart();
    expect([t.row('a'), t.row('b')]).toEqual(['0/1 OutOfcpu 0', '1/1 Running 0']);
  });

  it('a label that the watch has not told yet counts', async () => {
    await using t = new TestKubelet();
    await t.start();
    const get = t.client.get.bind(t.client);
    t.client.get = async (resource, key) => {
      const object = await get(resource, key);
      return { ...object, metadata: { ...object.metadata, labels: { disk: 'ssd' } } };
    };
    await t.apply(wanting('p', { nodeSelector: { disk: 'ssd' } }));
    await t.apply(wanting('q', { nodeSelector: { disk: 'tape' } }));
    expect([t.row('p'), t.row('q')]).toEqual(['1/1 Running 0', '0/1 NodeAffinity 0']);
  });
});

describe('host ports', () => {
  const TAKEN = 'Failed to create pod sandbox: host port tcp 80 is in use by the pod with UID other';

  it('that are taken keep the pod from starting until they are free', async () => {
    await using t = new TestKubelet();
    await t.start();
    t.hostPorts.isTaken = true;
    await t.apply(PLAIN);
    expect(t.row()).toBe('0/1 ContainerCreating 0');
    expect(t.events()).toContain(`Warning FailedCreatePodSandBox ${TAKEN}|1|`);
    expect(t.status.conditions?.find((c) => c.type === 'PodReadyToStartContainers')?.status).toBe('False');
    await t.advance(1000);
    expect(t.calls().filter((call) => call.startsWith('startContainer'))).toEqual([]);
    t.hostPorts.isTaken = false;
    await t.advance(2000);
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.hostPorts.at).toEqual([t.status.podIP]);
    expect(t.fake.calls.filter((c) => c.method === 'runPodSandbox')).toHaveLength(3);
    expect(t.events().filter((e) => e.includes('FailedCreatePodSandBox'))).toEqual([
      `Warning FailedCreatePodSandBox ${TAKEN}|2|`,
    ]);
  });

  it('come before containers also in a sandbox of which nobody answered', async () => {
    await using t = new TestKubelet();
    await t.start();
    t.fake.failNext('podSandboxStatus', 'no answer');
    await t.apply(PLAIN);
    await t.advance(1000);
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.hostPorts.at).toEqual([t.status.podIP]);
  });

  it('that are taken when we are back leave alone what runs', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    t.hostPorts.isTaken = true;
    await t.restart();
    await t.advance(30_000);
    expect(t.calls()).toEqual(['runPodSandbox p', 'createContainer app', 'startContainer app']);
    t.hostPorts.isTaken = false;
    await t.advance(10_000);
    expect(t.hostPorts.at).toEqual([t.status.podIP, t.status.podIP]);
  });
});

describe('init containers', () => {
  it('the next is created while the one before runs, and started when its exit is told', async () => {
    await using t = new TestKubelet({ exitReportLagMs: 70 });
    t.fake.onStart('a', { exitAfterMs: 1000 });
    await t.start();
    await t.apply(TWO_INIT);
    expect(t.calls().slice(1)).toEqual(['createContainer a', 'startContainer a', 'createContainer b']);
    await t.advance(1000);
    expect(t.calls().slice(4)).toEqual(['startContainer b', 'createContainer app']);
    expect(t.row()).toBe('0/1 Init:1/2 0');
  });

  it('are removed once the pod is initialized, and stay readable', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('a', { exitAfterMs: 10, exitCode: 0 });
    t.fake.onStart('b', { exitAfterMs: 10, exitCode: 0 });
    await t.start();
    await t.apply(TWO_INIT);
    await t.advance(20);
    expect(
      t
        .calls()
        .filter((c) => c.startsWith('removeContainer'))
        .sort(),
    ).toEqual(['removeContainer a', 'removeContainer b']);
    expect(t.fake.container('a')).toBeUndefined();
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.status.initContainerStatuses!.map((s) => s.state!.terminated?.reason)).toEqual(['Completed', 'Completed']);
    expect(t.kubelet.logPath('UID', 'a', false)).toBe('/logs/NS_p_UID/a/0.log');
    await t.advance(20_000);
    expect(t.calls().filter((c) => c === 'startContainer a')).toHaveLength(1);
  });

  it('that fail are retried with back-off until they succeed', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('a', { exitAfterMs: 0, exitCode: 1 }, { exitAfterMs: 0, exitCode: 1 }, { exitAfterMs: 0 });
    t.fake.onStart('b', { exitAfterMs: 0 });
    await t.start();
    await t.apply(TWO_INIT);
    await t.advance(10);
    expect(t.row()).toBe('0/1 Init:CrashLoopBackOff 1');
    await t.advance(9000);
    expect(t.row()).toBe('0/1 Init:CrashLoopBackOff 1');
    await t.advance(1000);
    expect(t.row()).toBe('1/1 Running 0');
  });
});

describe('deletion', () => {
  it('stops, cleans up, and only then lets the object go', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { stopAfterMs: 1000 });
    await t.start();
    await t.apply(PLAIN);
    await deletePod(t);
    expect(t.unrouted).toEqual(['p']);
    expect(t.row()).toBe('1/1 Terminating 0');
    await t.advance(999);
    expect(t.exists()).toBe(true);
    await t.advance(1);
    expect(t.exists()).toBe(false);
    expect(t.calls().slice(3)).toEqual(['stopContainer app', 'stopPodSandbox p', 'removePodSandbox p']);
    expect(t.volumes.tornDown).toEqual(['UID']);
    expect(t.probes.synced.size).toBe(0);
    // The last word is the end of its containers, not that they are gone.
    const told = t.client.writes.filter((w) => w.subresource === 'status').map((w) => (w.object as Pod).status!);
    expect(told.map((s) => s.phase).filter((phase) => phase === 'Failed')).toHaveLength(1);
    expect(told.at(-1)!.containerStatuses![0]).toMatchObject({
      resources: {},
      state: { terminated: { exitCode: 143 } },
    });
  });

  it('a grace period that shrinks meanwhile counts at once', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { ignoreSigterm: true });
    await t.start();
    await t.apply(PLAIN);
    await deletePod(t);
    await t.advance(5000);
    await deletePod(t, 3);
    const graces = t.fake.calls.filter((c) => c.method === 'stopContainer').map((c) => c.args[1]);
    expect(graces).toEqual([30, 3]);
    await t.advance(3000);
    expect(t.exists()).toBe(false);
    expect(t.events().filter((e) => e.includes('Killing'))).toEqual([
      'Normal Killing Stopping container app|1|spec.containers{app}',
    ]);
  });

  it('with force: the object is gone at once, the pod two seconds later', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { ignoreSigterm: true });
    await t.start();
    await t.apply(PLAIN);
    await deletePod(t, 0);
    expect(t.exists()).toBe(false);
    await t.advance(2000);
    expect(t.fake.sandboxes.size).toBe(0);
    expect(t.volumes.tornDown).toEqual(['UID']);
  });

  it('sidecars go last, in reverse order, within the same grace period', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { stopAfterMs: 1000 });
    await t.start();
    await t.apply(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  initContainers: [{name: one, image: x, restartPolicy: Always}, {name: two, image: x, restartPolicy: Always}]
  containers: [{name: app, image: x}]
`);
    await deletePod(t);
    expect(t.calls().at(-1)).toBe('stopContainer app');
    await t.advance(1000);
    const stops = t.fake.calls.filter((c) => c.method === 'stopContainer').map((c) => [c.target, c.args[1]]);
    expect(stops).toEqual([
      ['app', 30],
      ['two', 29],
      ['one', 29],
    ]);
  });

  it('preStop uses up the grace period', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN.replace('busybox,', "busybox, lifecycle: {preStop: {exec: {command: [sleep, '10']}}},"));
    await deletePod(t);
    await t.advance(9999);
    expect(t.calls().some((c) => c.startsWith('stopContainer'))).toBe(false);
    await t.advance(1);
    expect(t.fake.calls.find((c) => c.method === 'stopContainer')!.args[1]).toBe(20);
  });

  it('of a pod whose image is being pulled ends the pull', async () => {
    await using t = new TestKubelet();
    t.fake.latencyMs.pullImage = 60_000;
    await t.start();
    await t.apply(PLAIN);
    await deletePod(t);
    expect(t.exists()).toBe(false);
    expect(t.fake.sandboxes.size).toBe(0);
  });

  it('of a pod that has finished only cleans up', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { exitAfterMs: 10 });
    await t.start();
    await t.apply(PLAIN.replace('spec:', 'spec:\n  restartPolicy: Never'));
    await t.advance(10);
    expect(t.row()).toBe('0/1 Completed 0');
    expect(t.status.phase).toBe('Succeeded');
    expect(t.fake.sandboxes.size).toBe(1);
    await deletePod(t);
    expect(t.exists()).toBe(false);
    expect(t.fake.sandboxes.size).toBe(0);
  });
});

describe('our own death', () => {
  it('nothing is started, killed or shown anew; Ready and Started stand', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('a', { exitAfterMs: 0 });
    t.fake.onStart('b', { exitAfterMs: 0 });
    await t.start();
    await t.apply(TWO_INIT);
    await t.advance(1000);
    const before = structuredClone(t.status);
    const calls = t.calls().length;
    await t.restart();
    await t.advance(20_000);
    expect(t.calls()).toHaveLength(calls);
    expect(t.status).toEqual(before);
  });

  it('init goes on where it was', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('a', { exitAfterMs: 0 });
    t.fake.onStart('b', { exitAfterMs: 5000 });
    await t.start();
    await t.apply(TWO_INIT);
    await t.advance(100);
    expect(t.row()).toBe('0/1 Init:1/2 0');
    await t.restart();
    await t.advance(5000);
    expect(t.row()).toBe('1/1 Running 0');
    const starts = t.calls().filter((c) => c.startsWith('startContainer'));
    expect(starts).toEqual(['startContainer a', 'startContainer b', 'startContainer app']);
    // What was created before our death was used.
    expect(t.calls().filter((c) => c === 'createContainer app')).toHaveLength(1);
  });

  it('an exit while we were away is seen, with its count and its delay', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { exitAfterMs: 0, exitCode: 1 }, { exitAfterMs: 5000, exitCode: 1 });
    await t.start();
    await t.apply(PLAIN);
    expect(t.row()).toBe('1/1 Running 1');
    t.kubelet.stop();
    await t.advance(5000);
    await t.restart();
    expect(t.row()).toBe('0/1 CrashLoopBackOff 1');
    await t.advance(10_000);
    expect(t.row()).toBe('1/1 Running 2');
  });

  it('a pod deleted while we were away is cleaned up', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    t.kubelet.stop();
    await deletePod(t, 0);
    await t.restart();
    expect(t.fake.sandboxes.size).toBe(0);
    expect(t.volumes.tornDown).toEqual(['UID']);
  });

  it('a pod that had finished keeps the status it was given', async () => {
    await using t = new TestKubelet();
    t.fake.onStart('app', { exitAfterMs: 0, exitCode: 3 });
    await t.start();
    await t.apply(PLAIN.replace('spec:', 'spec:\n  restartPolicy: Never'));
    await t.advance(0);
    const before = structuredClone(t.status);
    expect(before.phase).toBe('Failed');
    await t.restart();
    expect(t.status).toEqual(before);
    expect(t.calls().filter((c) => c.startsWith('startContainer'))).toHaveLength(1);
  });

  it('what others have in the same runtime is not touched', async () => {
    await using t = new TestKubelet();
    const other = await t.fake.runtime.runPodSandbox(
      { metadata: { name: 'other', namespace: 'x', uid: 'y', attempt: 0 }, labels: {} } as never,
      '',
    );
    await t.start();
    await t.advance(30_000);
    expect(t.fake.sandboxes.has(other)).toBe(true);
  });
});

describe('a runtime that goes away', () => {
  it('containers live on; the node says so; all goes on when it is back', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    const { id } = t.fake.container('app')!;
    t.fake.disconnect();
    await t.advance(20_000);
    const condition = () => t.client.all(NODES)[0]!.status!.conditions!.find((c) => c.type === 'Ready')!;
    expect(condition()).toMatchObject({
      status: 'False',
      reason: 'KubeletNotReady',
      message: 'container runtime is down',
    });
    expect(t.row()).toBe('1/1 Running 0');
    t.fake.reconnect();
    await t.advance(20_000);
    expect(condition()).toMatchObject({ status: 'True', message: 'kubelet is posting ready status' });
    expect(t.fake.container('app')).toMatchObject({ id, state: ContainerState.CONTAINER_RUNNING });
    expect(t.calls()).toHaveLength(3);
  });

  it('an exit that nobody told is seen when it is back', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    t.fake.disconnect();
    t.fake.exit(t.fake.container('app')!.id, 1);
    await t.advance(3000);
    t.fake.reconnect();
    await t.advance(3000);
    expect(t.row()).toBe('1/1 Running 1');
  });

  it('a pod created meanwhile starts when it is back, without a word of failure', async () => {
    await using t = new TestKubelet();
    await t.start();
    t.fake.disconnect();
    await t.advance(10_000);
    await t.apply(PLAIN);
    await t.advance(5000);
    t.fake.reconnect();
    await t.advance(20_000);
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.events().filter((e) => e.startsWith('Warning'))).toEqual([]);
  });
});

describe('an API server that is slow or away', () => {
  it('statuses are written when it is back', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    for (let i = 0; i < 3; i++) t.client.failNext(new Error('connect ECONNREFUSED'));
    t.fake.exit(t.fake.container('app')!.id, 1);
    await t.advance(5000);
    expect(t.row()).toBe('1/1 Running 1');
  });
});

describe('the node', () => {
  it('is registered, and keeps its lease', async () => {
    await using t = new TestKubelet();
    await t.start();
    const [node] = t.client.all(NODES);
    expect(node!.status!.nodeInfo).toMatchObject({ containerRuntimeVersion: 'fake://0', kubeletVersion: 'v1.36.2' });
    expect(node!.status!.addresses).toEqual([
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'Hostname', address: 'node' },
    ]);
    const renewed = () => t.client.all(LEASES)[0]!.spec.renewTime;
    const first = renewed();
    await t.advance(10_000);
    expect(renewed()).not.toBe(first);
  });
});

describe('events', () => {
  it('repeats are counted; ever new words are combined after ten', async () => {
    await using t = new TestKubelet();
    await t.start();
    const pod = await t.apply(PLAIN);
    const recorder = t.eventRecorder;
    for (let i = 0; i < 3; i++) recorder.event(pod, 'Normal', 'Same', 'again', 'app');
    for (let i = 0; i < 12; i++) recorder.event(pod, 'Warning', 'Other', `no. ${i}`);
    await t.settle();
    const told = t.client.all(EVENTS).map((e) => [e.reason, e.message, e.count]);
    expect(told).toContainEqual(['Same', 'again', 3]);
    expect(told.filter(([reason]) => reason === 'Other')).toHaveLength(10);
    expect(told.at(-1)).toEqual(['Other', '(combined from similar events): no. 11', 3]);
  });
});
