import { beforeEach, expect, test, vi } from 'vitest';
import type { ContainerStatus, Pod, PodStatus } from '../api/generated/types.ts';
import { readManifest } from '../api/manifest.ts';
import { CONFIGMAPS, EVENTS, PODS } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import type { ServerOptions } from './context.ts';
import { FakeContext } from './fake-context.ts';
import { type RunEnd, type RunOptions, runPods } from './run-pods.ts';

const SERVER: ServerOptions = { rootDir: '/r', kubeconfig: '/r/kubeconfig', namespace: 'default' };
const POD = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  nodeName: node1
  containers: [{name: app, image: web}]
`;
const JOB = POD.replace('nodeName: node1', 'nodeName: node1\n  restartPolicy: Never').replace('name: web', 'name: job');
const CONFIG = '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n';

let context: FakeContext;
let kube: FakeKubeClient;

beforeEach(() => {
  context = new FakeContext();
  kube = new FakeKubeClient(context.clock);
});

function start(
  text: string,
  options: Partial<RunOptions> = {},
): { end: Promise<RunEnd>; state: () => RunEnd | undefined } {
  let state: RunEnd | undefined;
  const manifests = readManifest(text, 'f.yaml');
  const end = runPods(context, SERVER, kube, {
    manifests,
    validate: 'strict',
    detach: false,
    removeFinished: false,
    ...options,
  });
  end.then(
    (e) => {
      state = e;
    },
    () => {},
  );
  return { end, state: () => state };
}

const key = (name: string) => ({ name, namespace: 'default' });

async function setStatus(name: string, status: PodStatus): Promise<void> {
  const pod = await kube.get(PODS, key(name));
  await kube.update(PODS, { ...pod, status });
  await context.clock.advance(10);
}

const app = (state: ContainerStatus['state'], ready = false): ContainerStatus => ({
  name: 'app',
  image: 'web',
  imageID: '',
  ready,
  started: true,
  restartCount: 0,
  containerID: 'containerd://c1',
  state,
});
const RUNNING: PodStatus = {
  phase: 'Running',
  conditions: [
    { type: 'Initialized', status: 'True' },
    { type: 'PodReadyToStartContainers', status: 'True' },
    { type: 'Ready', status: 'False' },
  ],
  containerStatuses: [app({ running: { startedAt: '2026-01-01T00:00:00Z' } })],
};
const READY: PodStatus = {
  ...RUNNING,
  conditions: [{ type: 'Ready', status: 'True' }],
  containerStatuses: [app({ running: { startedAt: '2026-01-01T00:00:00Z' } }, true)],
};
const ended = (exitCode: number): PodStatus => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  containerStatuses: [app({ terminated: { exitCode, containerID: 'containerd://c1' } })],
});

test('prints what changes, says Ready, stays, and Ctrl-C removes what it made', async () => {
  const { end, state } = start(POD + CONFIG);
  await context.clock.advance(10);
  await setStatus('web', RUNNING);
  await setStatus('web', READY);
  await context.clock.advance(5000);
  expect(context.out().split('\n')).toEqual([
    '[  0.0 s] web/app: waiting',
    '[  0.0 s] web: not ready yet',
    '[  0.0 s] web/app: running, not ready',
    '[  0.0 s] web/app: running, ready',
    '[  0.0 s] web: Ready.',
    '[  0.0 s] Ready after 0.0 s.',
    '',
  ]);
  expect(state()).toBeUndefined();

  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(kube.all(PODS)[0]?.metadata.deletionGracePeriodSeconds).toBe(30);
  // What a pod uses stays until it is gone.
  expect(kube.all(CONFIGMAPS)).toHaveLength(1);
  await kube.delete(PODS, key('web'), { gracePeriodSeconds: 0 });
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
  expect(context.exitCode).toBe(130);
  expect(kube.all(CONFIGMAPS)).toEqual([]);
});

test('a second Ctrl-C kills at once', async () => {
  const { end } = start(POD);
  await context.clock.advance(10);
  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(kube.all(PODS)).toHaveLength(1);
  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
  expect(kube.all(PODS)).toEqual([]);
});

test.each([
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGPIPE', 141],
])('%s removes what it made, with exit code %d', async (signal, exitCode) => {
  const { end } = start(POD);
  await context.clock.advance(10);
  context.signal(signal);
  // As a shell and the kernel do when a terminal is closed.
  if (signal !== 'SIGTERM') context.signal('SIGHUP');
  await context.clock.advance(600);
  expect(kube.all(PODS)[0]?.metadata.deletionGracePeriodSeconds).toBe(30);
  await kube.delete(PODS, key('web'), { gracePeriodSeconds: 0 });
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
  expect(context.exitCode).toBe(exitCode);
});

test('detached, it returns once all pods are Ready and leaves them', async () => {
  const { end, state } = start(`${POD}---\n${POD.replace('name: web', 'name: db')}`, { detach: true });
  await context.clock.advance(10);
  await setStatus('web', READY);
  await context.clock.advance(1000);
  expect(state()).toBeUndefined();
  await setStatus('db', READY);
  await context.clock.advance(1000);
  expect(await end).toBe('ready');
  expect([context.exitCode, kube.all(PODS).length]).toEqual([0, 2]);
});

test('a pod that finishes: its log, its exit code, and it stays to be looked at', async () => {
  context.answer = (path) => {
    if (path.includes('/log?')) return 'the output\n';
    throw new ApiStatusError(404, 'NotFound', 'no');
  };
  const { end, state } = start(JOB, { detach: true });
  await context.clock.advance(10);
  await setStatus('job', READY);
  await context.clock.advance(1000);
  // It is Ready while it runs, but that is not what it is for.
  expect(state()).toBeUndefined();
  await setStatus('job', ended(3));
  await context.clock.advance(1000);
  expect(await end).toBe('finished');
  expect(context.exitCode).toBe(3);
  expect(context.out()).toContain('--- log of job/app\nthe output\n');
  expect(kube.all(PODS)).toHaveLength(1);
});

test('a finished pod of that name is replaced', async () => {
  await kube.create(PODS, { ...(readManifest(JOB, 'f')[0]!.object as Pod), status: ended(1) });
  const old = kube.all(PODS)[0]!.metadata.uid;
  const { end } = start(JOB);
  await context.clock.advance(10);
  await kube.delete(PODS, key('job'), { gracePeriodSeconds: 0 });
  await context.clock.advance(500);
  expect(kube.all(PODS)[0]?.metadata.uid).not.toBe(old);
  await setStatus('job', ended(0));
  await context.clock.advance(500);
  expect(await end).toBe('finished');
  expect(context.exitCode).toBe(0);
});

test('when one object is refused, all errors are shown and nothing stays', async () => {
  const create = kube.create.bind(kube);
  vi.spyOn(kube, 'create').mockImplementation(async (resource, object) => {
    if (object.metadata.name === 'web')
      throw new ApiStatusError(422, 'Invalid', 'bad', {
        causes: [{ field: 'spec.containers[0].image', message: 'Required value' }],
      });
    return await create(resource, object);
  });
  const { end } = start(`${CONFIG.slice(4)}---\n${POD}`);
  expect(await end).toBe('refused');
  expect(context.exitCode).toBe(1);
  expect(context.err()).toBe('error: Pod "web" is invalid:\nf.yaml:10:28: spec.containers[0].image: Required value\n');
  expect(kube.all(CONFIGMAPS)).toEqual([]);
});

test('what was there before is not removed', async () => {
  await kube.create(PODS, { ...(readManifest(POD, 'f')[0]!.object as Pod), status: READY });
  const { end } = start(POD);
  await context.clock.advance(10);
  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
  expect(kube.all(PODS)).toHaveLength(1);
});

test('a pod that somebody else deletes ends it with an error', async () => {
  const { end } = start(POD);
  const outcome = expect(end).rejects.toThrow('deleted by somebody else');
  await context.clock.advance(10);
  await kube.delete(PODS, key('web'), { gracePeriodSeconds: 0 });
  await context.clock.advance(600);
  await outcome;
});

test('a file without a pod is refused before anything is made', async () => {
  await expect(start(CONFIG).end).rejects.toThrow('there is no Pod in the file');
  expect(kube.writes).toEqual([]);
});

test('on a terminal the view is painted in place', async () => {
  context.isTTY = true;
  const { end } = start(POD);
  await context.clock.advance(10);
  await setStatus('web', READY);
  await context.clock.advance(600);
  expect(context.out()).toContain('● web  Running');
  expect(context.out()).toContain('Ctrl-C removes what was made.');
  context.signal('SIGINT');
  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
});

test('of states and events that follow one another at once, no line is left out', async () => {
  const { end } = start(POD);
  await context.clock.advance(10);
  const pod = kube.all(PODS)[0]!;
  const about = { kind: 'Pod', ...key('web'), uid: pod.metadata.uid!, fieldPath: 'spec.containers{app}' };
  for (const reason of ['Pulling', 'Pulled']) {
    await kube.create(EVENTS, { metadata: { ...key(`web.${reason}`) }, involvedObject: about, reason });
  }
  for (const status of [RUNNING, READY]) await kube.update(PODS, { ...pod, status });
  await context.clock.advance(10);
  const lines = context.out();
  for (const words of ['pulling image web', 'waiting, its image is here', 'running, not ready', 'running, ready']) {
    expect(lines).toContain(`web/app: ${words}\n`);
  }
  context.signal('SIGINT');
  context.signal('SIGINT');
  await context.clock.advance(600);
  expect(await end).toBe('interrupted');
});
