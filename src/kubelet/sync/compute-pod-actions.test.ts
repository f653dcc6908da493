import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../api/generated/types.ts';
import { containerHash } from '../container-hash.ts';
import type { ProbeResult, ProbeVerdict } from '../ports.ts';
import type { ContainerRuntimeStatus, SandboxRuntimeStatus } from '../runtime-status.ts';
import {
  CRASH_LOOP_BACK_OFF,
  computePodActions,
  type PodActionInput,
  type PodActions,
  type Waiting,
} from './compute-pod-actions.ts';

const NOW = 1_000_000;

/** An input whose parts a case may change. */
interface Fixture {
  pod: Pod;
  sandboxes: SandboxRuntimeStatus[];
  containers: ContainerRuntimeStatus[];
  verdicts: Record<string, ProbeVerdict>;
  probeResults: Record<string, ProbeResult[]>;
  operations: Map<string, 'preparing' | 'starting' | 'killing' | 'removing'>;
  holds: Map<string, number>;
  waiting: Map<string, Waiting>;
  restarts: Map<string, { entry?: { delayMs: number; bumpedAt: number }; clearedId?: string }>;
  killed: Map<string, { restart: boolean }>;
  finishedAt: Record<string, number>;
  published: Pod['status'];
  sandboxBusy: boolean;
  activeForMs: number;
  now: number;
}

const IMAGE = 'busybox';
const PROBE = { tcpSocket: { port: 1 } };

function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: IMAGE, ...more };
}

function instance(name: string, more: Partial<ContainerRuntimeStatus> = {}): ContainerRuntimeStatus {
  return {
    id: `${name}-0`,
    name,
    sandboxId: 's0',
    state: 'running',
    restartCount: 0,
    hash: containerHash(container(name)),
    createdAt: 1,
    startedAt: 2,
    finishedAt: 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: IMAGE,
    imageRef: IMAGE,
    logPath: '',
    ...more,
  };
}

const exited = (name: string, exitCode: number, more: Partial<ContainerRuntimeStatus> = {}) =>
  instance(name, { state: 'exited', exitCode, finishedAt: 3, ...more });

function sandbox(more: Partial<SandboxRuntimeStatus> = {}): SandboxRuntimeStatus {
  return { id: 's0', attempt: 0, ready: true, createdAt: 0, ips: ['10.0.0.2'], hostNetwork: false, ...more };
}

/** A pod that has init containers i1 and i2 (done), a sidecar `side` between them, and apps a and b, all running well. */
function healthy(): Fixture {
  return {
    pod: {
      metadata: { name: 'p', namespace: 'ns', uid: 'uid' },
      spec: {
        terminationGracePeriodSeconds: 7,
        initContainers: [container('i1'), container('side', { restartPolicy: 'Always' }), container('i2')],
        containers: [container('a'), container('b')],
      },
    },
    sandboxes: [sandbox()],
    containers: [instance('a'), instance('b'), exited('i2', 0), instance('side'), exited('i1', 0)],
    verdicts: {},
    probeResults: {},
    operations: new Map(),
    holds: new Map(),
    waiting: new Map(),
    restarts: new Map(),
    killed: new Map(),
    finishedAt: {},
    published: undefined,
    sandboxBusy: false,
    activeForMs: 0,
    now: NOW,
  };
}

function inputOf(f: Fixture): PodActionInput {
  return {
    pod: f.pod,
    status: { podUID: 'uid', namespace: 'ns', name: 'p', sandboxes: f.sandboxes, containers: f.containers },
    published: f.published,
    verdict: (id, type) => f.verdicts[`${id} ${type}`] ?? 'success',
    probeResults: (id, type) => f.probeResults[`${id} ${type}`] ?? [],
    operations: f.operations,
    sandboxBusy: f.sandboxBusy,
    holds: f.holds,
    waiting: f.waiting,
    restarts: f.restarts,
    killed: f.killed,
    finishedAt: (c) => f.finishedAt[c.id] ?? NOW,
    policy: CRASH_LOOP_BACK_OFF,
    activeForMs: f.activeForMs,
    now: f.now,
  };
}

const NOTHING: PodActions = {
  terminate: undefined,
  sandbox: undefined,
  kill: [],
  start: [],
  create: [],
  removeContainers: [],
  removeSandboxes: [],
  backOff: [],
  restarts: new Map(),
  retryAt: undefined,
};

type Expected = Partial<PodActions>;
type Case = readonly [name: string, change: (f: Fixture) => void, plan: Expected];

function replace(f: Fixture, name: string, ...instances: ContainerRuntimeStatus[]): void {
  f.containers = [...instances, ...f.containers.filter((c) => c.name !== name)];
}

/** Before any container: the pod with a fresh sandbox. */
function fresh(f: Fixture): void {
  f.containers = [];
}

function only(f: Fixture, ...apps: Container[]): void {
  f.pod.spec.initContainers = [];
  f.pod.spec.containers = apps;
  f.containers = [];
}

const kill = (name: string, more: Partial<PodActions['kill'][number]> = {}) => ({
  containerId: `${name}-0`,
  name,
  reason: 'livenessProbe' as const,
  message: `Container ${name} failed liveness probe, will be restarted`,
  graceSeconds: 7,
  probeResults: [],
  restart: true,
  ...more,
});

const first = (name: string, id: string) =>
  new Map([[name, { entry: { delayMs: 10_000, bumpedAt: NOW }, clearedId: id }]]);

const RESTARTING = { type: 'AllContainersRestarting', status: 'True' };
const REMOVED = { reason: 'RestartingAllContainers', exitCode: 137 };

const CASES: readonly Case[] = [
  ['all is well: nothing', () => {}, {}],

  // The sandbox.
  [
    'a new pod gets a sandbox and its first init container',
    (f) => {
      f.sandboxes = [];
      f.containers = [];
    },
    { sandbox: { attempt: 0, changed: false, stop: [] }, start: [{ name: 'i1', restartCount: 0 }] },
  ],
  [
    'a new pod without init containers: all apps at once',
    (f) => {
      only(f, container('a'), container('b'));
      f.sandboxes = [];
    },
    {
      sandbox: { attempt: 0, changed: false, stop: [] },
      start: [
        { name: 'a', restartCount: 0 },
        { name: 'b', restartCount: 0 },
      ],
    },
  ],
  [
    'a dead sandbox: everything is killed, init begins again',
    (f) => {
      f.sandboxes = [sandbox({ ready: false })];
    },
    {
      sandbox: { attempt: 1, changed: true, stop: ['s0'] },
      kill: ['a', 'b', 'side'].map((name) =>
        kill(name, { reason: 'sandboxChanged', message: `Stopping container ${name}` }),
      ),
      start: [{ name: 'i1', restartCount: 1 }],
      restarts: first('i1', 'i1-0'),
    },
  ],
  [
    'two ready sandboxes: both are stopped',
    (f) => {
      only(f, container('a'));
      f.sandboxes = [sandbox({ id: 's1', attempt: 1 }), sandbox()];
    },
    { sandbox: { attempt: 2, changed: true, stop: ['s1', 's0'] }, start: [{ name: 'a', restartCount: 0 }] },
  ],
  [
    'a sandbox without an address',
    (f) => {
      only(f, container('a'));
      f.sandboxes = [sandbox({ ips: [] })];
    },
    { sandbox: { attempt: 1, changed: true, stop: ['s0'] }, start: [{ name: 'a', restartCount: 0 }] },
  ],
  [
    'with hostNetwork a sandbox needs none',
    (f) => {
      only(f, container('a'));
      f.pod.spec.hostNetwork = true;
      f.sandboxes = [sandbox({ ips: [], hostNetwork: true })];
    },
    { start: [{ name: 'a', restartCount: 0 }] },
  ],
  [
    'the network namespace changed',
    (f) => {
      only(f, container('a'));
      f.pod.spec.hostNetwork = true;
    },
    { sandbox: { attempt: 1, changed: true, stop: ['s0'] }, start: [{ name: 'a', restartCount: 0 }] },
  ],
  [
    'restartPolicy Never: what has run is not begun anew',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.sandboxes = [sandbox({ ready: false })];
    },
    { terminate: { reason: 'Finished' } },
  ],
  [
    'restartPolicy Never, but nothing ran yet: a sandbox is tried again',
    (f) => {
      only(f, container('a'));
      f.pod.spec.restartPolicy = 'Never';
      f.sandboxes = [sandbox({ ready: false })];
    },
    { sandbox: { attempt: 1, changed: true, stop: ['s0'] }, start: [{ name: 'a', restartCount: 0 }] },
  ],
  [
    'OnFailure and all succeeded: a dead sandbox is not replaced',
    (f) => {
      only(f, container('a'));
      f.pod.spec.restartPolicy = 'OnFailure';
      f.containers = [exited('a', 0)];
      f.sandboxes = [sandbox({ ready: false })];
    },
    { terminate: { reason: 'Finished' } },
  ],
  [
    'OnFailure: in a new sandbox what succeeded is not run again',
    (f) => {
      only(f, container('a'), container('b'));
      f.pod.spec.restartPolicy = 'OnFailure';
      f.containers = [exited('a', 0), exited('b', 1)];
      f.sandboxes = [sandbox({ ready: false })];
    },
    {
      sandbox: { attempt: 1, changed: true, stop: ['s0'] },
      start: [{ name: 'b', restartCount: 1 }],
      restarts: first('b', 'b-0'),
    },
  ],
  [
    'a sandbox that failed a moment ago waits',
    (f) => {
      f.sandboxes = [];
      f.containers = [];
      f.holds.set('', NOW + 500);
    },
    { retryAt: NOW + 500 },
  ],
  [
    'while it waits, what was never started in it goes, so that it does not count as an instance',
    (f) => {
      f.sandboxes = [sandbox({ ready: false })];
      f.containers = [instance('i1', { state: 'created' })];
      f.holds.set('', NOW + 500);
    },
    { retryAt: NOW + 500, removeContainers: ['i1-0'] },
  ],
  [
    'but not while it is being created',
    (f) => {
      f.sandboxes = [sandbox({ ready: false })];
      f.containers = [instance('i1', { state: 'created' })];
      f.operations.set('i1', 'preparing');
      f.holds.set('', NOW + 500);
    },
    { retryAt: NOW + 500 },
  ],
  [
    'and not again at once when it could not be removed',
    (f) => {
      f.sandboxes = [sandbox({ ready: false })];
      f.containers = [instance('i1', { state: 'created' })];
      f.holds.set('', NOW + 500).set('i1', NOW + 1000);
    },
    { retryAt: NOW + 500 },
  ],
  [
    'while the sandbox is being made nothing else happens',
    (f) => {
      f.sandboxes = [];
      f.sandboxBusy = true;
    },
    {},
  ],
  [
    'only the active sandbox counts: what was created in the old one does not (kubernetes#140309)',
    (f) => {
      f.sandboxes = [sandbox({ id: 's1', attempt: 1 }), sandbox({ ready: false })];
      f.containers = [instance('a', { state: 'created' }), exited('i2', 0), exited('side', 137), exited('i1', 0)];
    },
    {
      start: [{ name: 'i1', restartCount: 1 }],
      restarts: first('i1', 'i1-0'),
      removeContainers: ['a-0'],
    },
  ],
  [
    'init containers of the old sandbox go once they have run anew',
    (f) => {
      f.sandboxes = [sandbox({ id: 's1', attempt: 1 }), sandbox({ ready: false })];
      f.containers = [
        instance('i1', { id: 'i1-1', sandboxId: 's1', restartCount: 1 }),
        exited('i2', 0),
        exited('i1', 0),
      ];
    },
    { create: [{ name: 'side', restartCount: 0 }], removeContainers: ['i1-0'] },
  ],
  [
    'an old sandbox that holds nothing is removed',
    (f) => {
      f.sandboxes.push(sandbox({ id: 'old', ready: false }));
    },
    { removeSandboxes: ['old'] },
  ],

  // Init containers.
  ['the first init container', fresh, { start: [{ name: 'i1', restartCount: 0 }] }],
  [
    'while one runs the next is created',
    (f) => {
      f.containers = [instance('i1')];
    },
    { create: [{ name: 'side', restartCount: 0 }] },
  ],
  [
    'already while its start call is under way',
    (f) => {
      f.containers = [instance('i1', { state: 'created' })];
      f.operations.set('i1', 'starting');
    },
    { create: [{ name: 'side', restartCount: 0 }] },
  ],
  [
    'what has been created is not created again; then the one after it',
    (f) => {
      f.containers = [instance('side', { state: 'created' }), instance('i1')];
    },
    { create: [{ name: 'i2', restartCount: 0 }] },
  ],
  [
    'one at a time',
    (f) => {
      f.containers = [instance('side', { state: 'created' }), instance('i1')];
      f.operations.set('i2', 'preparing');
    },
    {},
  ],
  [
    'the apps as well, while the first init container runs',
    (f) => {
      const created = ['a', 'i2', 'side'].map((name) => instance(name, { state: 'created' }));
      f.containers = [...created, instance('i1')];
    },
    { create: [{ name: 'b', restartCount: 0 }] },
  ],
  [
    'but for those whose image may still have to be pulled, or asked for again',
    (f) => {
      f.pod.spec.initContainers![2] = container('i2', { image: 'other' });
      for (const c of f.pod.spec.containers) c.imagePullPolicy = 'Always';
      f.containers = [instance('side', { state: 'created' }), instance('i1')];
    },
    {},
  ],
  [
    'and not before its turn what an earlier one may still make a ConfigMap for',
    (f) => {
      f.pod.spec.initContainers![1]!.envFrom = [{ configMapRef: { name: 'c' } }];
      const env = [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }];
      f.pod.spec.initContainers![2]!.env = env;
      f.pod.spec.containers = [container('a', { env })];
      f.containers = [instance('i1')];
    },
    {},
  ],
  [
    'done: the next is started, as it was created',
    (f) => {
      f.containers = [instance('side', { state: 'created' }), exited('i1', 0)];
    },
    { start: [{ name: 'side', restartCount: 0, createdId: 'side-0' }] },
  ],
  [
    'done, told before its start call returned: the next does not wait for that',
    (f) => {
      f.containers = [instance('side', { state: 'created' }), exited('i1', 0)];
      f.operations.set('i1', 'starting');
    },
    { start: [{ name: 'side', restartCount: 0, createdId: 'side-0' }] },
  ],
  [
    "created from a definition that is no longer today's: thrown away",
    (f) => {
      f.containers = [instance('side', { state: 'created', hash: 'old' }), exited('i1', 0)];
    },
    { removeContainers: ['side-0'] },
  ],
  [
    'a created one does not count as initialized',
    (f) => {
      f.containers = [instance('a', { state: 'created' }), instance('b', { state: 'created' }), instance('i1')];
    },
    { create: [{ name: 'side', restartCount: 0 }] },
  ],
  [
    'a sidecar without a startup probe: the next starts when it runs',
    (f) => {
      f.containers = [instance('side'), exited('i1', 0)];
    },
    { start: [{ name: 'i2', restartCount: 0 }] },
  ],
  [
    'a sidecar whose startup probe has not succeeded: the next is created only',
    (f) => {
      f.containers = [instance('side'), exited('i1', 0)];
      f.verdicts['side-0 startup'] = 'unknown';
    },
    { create: [{ name: 'i2', restartCount: 0 }] },
  ],
  [
    'while the last runs the apps are created, in order',
    (f) => {
      f.containers = [instance('i2'), instance('side'), exited('i1', 0)];
    },
    {
      create: [
        { name: 'a', restartCount: 0 },
        { name: 'b', restartCount: 0 },
      ],
    },
  ],
  [
    'not those that look at what init may still make',
    (f) => {
      f.containers = [instance('i2'), instance('side'), exited('i1', 0)];
      f.pod.spec.volumes = [
        { name: 'h', hostPath: { path: '/h' } },
        { name: 'e', emptyDir: {} },
      ];
      f.pod.spec.containers[0]!.volumeMounts = [{ name: 'h', mountPath: '/h' }];
      f.pod.spec.containers[1]!.volumeMounts = [{ name: 'e', mountPath: '/e', subPath: 'x' }];
    },
    {},
  ],
  [
    'the last is done: the apps',
    (f) => {
      f.containers = [exited('i2', 0), instance('side'), exited('i1', 0)];
    },
    {
      start: [
        { name: 'a', restartCount: 0 },
        { name: 'b', restartCount: 0 },
      ],
    },
  ],
  [
    'the ones before the last may be gone',
    (f) => {
      f.containers = [exited('i2', 0), instance('side')];
    },
    {
      start: [
        { name: 'a', restartCount: 0 },
        { name: 'b', restartCount: 0 },
      ],
    },
  ],
  [
    'failed: the first restart is immediate',
    (f) => {
      f.containers = [exited('i1', 1)];
    },
    { start: [{ name: 'i1', restartCount: 1 }], restarts: first('i1', 'i1-0') },
  ],
  [
    'failed again: back-off, and the event',
    (f) => {
      f.containers = [exited('i1', 1)];
      f.restarts.set('i1', { entry: { delayMs: 10_000, bumpedAt: NOW - 3000 } });
      f.finishedAt['i1-0'] = NOW - 2000;
    },
    {
      backOff: [
        {
          name: 'i1',
          waiting: {
            reason: 'CrashLoopBackOff',
            message: 'back-off 10s restarting failed container=i1 pod=p_ns(uid)',
            instanceId: 'i1-0',
          },
          isNew: true,
        },
      ],
      retryAt: NOW + 8000,
    },
  ],
  [
    'failed, and the pod never restarts: it fails',
    (f) => {
      f.containers = [exited('i1', 1)];
      f.pod.spec.restartPolicy = 'Never';
    },
    { terminate: { reason: 'InitFailed' } },
  ],
  [
    'failed, and its own policy is Never',
    (f) => {
      f.containers = [exited('i1', 1)];
      f.pod.spec.initContainers![0]!.restartPolicy = 'Never';
    },
    { terminate: { reason: 'InitFailed' } },
  ],
  [
    'in an unknown state: killed before it is tried again',
    (f) => {
      f.containers = [instance('i1', { state: 'unknown' })];
    },
    {
      kill: [
        kill('i1', {
          reason: 'unknownState',
          message: 'Container is in "unknown" state, try killing it before restart',
        }),
      ],
    },
  ],
  [
    'another image for a completed one changes nothing',
    (f) => {
      f.pod.spec.initContainers![0]!.image = 'other';
    },
    {},
  ],
  [
    'a sidecar that ended is restarted, also while init goes on',
    (f) => {
      f.containers = [instance('i2'), exited('side', 0), exited('i1', 0)];
    },
    {
      start: [{ name: 'side', restartCount: 1 }],
      create: [
        { name: 'a', restartCount: 0 },
        { name: 'b', restartCount: 0 },
      ],
      restarts: first('side', 'side-0'),
    },
  ],
  [
    'a sidecar that ended is restarted whatever the policy of the pod',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      replace(f, 'side', exited('side', 0));
    },
    { start: [{ name: 'side', restartCount: 1 }], restarts: first('side', 'side-0') },
  ],
  [
    'but not when the apps are done',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.containers = [exited('a', 0), exited('b', 0), exited('side', 0)];
    },
    { terminate: { reason: 'Finished' } },
  ],
  [
    'a sidecar whose definition changed',
    (f) => {
      f.pod.spec.initContainers![1]!.image = 'other';
    },
    {
      kill: [kill('side', { reason: 'definitionChanged', message: 'Init container side definition changed' })],
      restarts: new Map([['side', { entry: undefined, clearedId: 'side-0' }]]),
    },
  ],
  [
    'once initialized, finished init containers go when the API server holds their end; the newest last',
    (f) => {
      f.containers.push(exited('i1', 1, { id: 'i1-old' }));
      f.published = {
        initContainerStatuses: [
          { name: 'i1', state: { terminated: { exitCode: 0, containerID: 'containerd://i1-0' } } } as never,
        ],
      };
    },
    { removeContainers: ['i1-old', 'i1-0'] },
  ],
  [
    'not while something is under way',
    (f) => {
      f.published = {
        initContainerStatuses: [
          { name: 'i1', state: { terminated: { exitCode: 0, containerID: 'containerd://i1-0' } } } as never,
        ],
      };
      f.operations.set('a', 'starting');
    },
    {},
  ],
  [
    'removed ones are not run again in the same sandbox',
    (f) => {
      f.containers = [exited('a', 1), instance('b'), instance('side')];
    },
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],

  // App containers.
  [
    'an app that ended is restarted at once',
    (f) => replace(f, 'a', exited('a', 0)),
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],
  [
    'in back-off already: no second event',
    (f) => {
      replace(f, 'a', exited('a', 1));
      f.restarts.set('a', { entry: { delayMs: 80_000, bumpedAt: NOW - 3000 } });
      f.finishedAt['a-0'] = NOW - 2000;
      f.waiting.set('a', {
        reason: 'CrashLoopBackOff',
        message: 'back-off 1m20s restarting failed container=a pod=p_ns(uid)',
        instanceId: 'a-0',
      });
    },
    {
      backOff: [
        {
          name: 'a',
          waiting: {
            reason: 'CrashLoopBackOff',
            message: 'back-off 1m20s restarting failed container=a pod=p_ns(uid)',
            instanceId: 'a-0',
          },
          isNew: false,
        },
      ],
      retryAt: NOW + 78_000,
    },
  ],
  [
    'the back-off ends: twice as long the next time',
    (f) => {
      replace(f, 'a', exited('a', 1));
      f.restarts.set('a', { entry: { delayMs: 160_000, bumpedAt: NOW - 170_000 } });
      f.finishedAt['a-0'] = NOW - 160_000;
    },
    {
      start: [{ name: 'a', restartCount: 1 }],
      restarts: new Map([['a', { entry: { delayMs: 300_000, bumpedAt: NOW }, clearedId: 'a-0' }]]),
    },
  ],
  [
    'ran for more than ten minutes: forgiven',
    (f) => {
      replace(f, 'a', exited('a', 1));
      f.restarts.set('a', { entry: { delayMs: 300_000, bumpedAt: NOW - 600_002 } });
      f.finishedAt['a-0'] = NOW - 1;
    },
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],
  [
    'a second attempt at the same restart costs nothing more',
    (f) => {
      replace(f, 'a', exited('a', 1));
      f.restarts.set('a', { entry: { delayMs: 10_000, bumpedAt: NOW }, clearedId: 'a-0' });
    },
    { start: [{ name: 'a', restartCount: 1 }] },
  ],
  [
    'a container that is held waits, and is no reason to end',
    (f) => {
      only(f, container('a'));
      f.holds.set('a', NOW + 1000);
    },
    { retryAt: NOW + 1000 },
  ],
  [
    'OnFailure: success stays',
    (f) => {
      f.pod.spec.restartPolicy = 'OnFailure';
      replace(f, 'a', exited('a', 0));
    },
    {},
  ],
  [
    'OnFailure: failure does not',
    (f) => {
      f.pod.spec.restartPolicy = 'OnFailure';
      replace(f, 'a', exited('a', 1));
    },
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],
  [
    'Never: one is left, the pod goes on',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      replace(f, 'a', exited('a', 1));
    },
    {},
  ],
  [
    'Never: none is left, it is over',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      replace(f, 'a', exited('a', 1));
      replace(f, 'b', exited('b', 0));
    },
    { terminate: { reason: 'Finished' } },
  ],
  [
    'Never, and the runtime has forgotten how it ended: the API server has not',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.containers = [instance('b'), instance('side')];
      f.published = {
        containerStatuses: [{ name: 'a', containerID: 'x', state: { terminated: { exitCode: 0 } } } as never],
      };
    },
    {},
  ],
  [
    'restart counts never fall, also when the runtime has forgotten',
    (f) => {
      f.containers = [instance('b'), instance('side')];
      f.published = {
        containerStatuses: [
          { name: 'a', containerID: 'x', restartCount: 4, state: { terminated: { exitCode: 0 } } } as never,
        ],
      };
    },
    { start: [{ name: 'a', restartCount: 5 }] },
  ],
  [
    "its own policy comes before the pod's",
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.pod.spec.containers[0]!.restartPolicy = 'OnFailure';
      replace(f, 'a', exited('a', 1));
    },
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],
  [
    'the first rule that matches decides',
    (f) => {
      Object.assign(f.pod.spec.containers[0]!, {
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
      });
      replace(f, 'a', exited('a', 42));
    },
    { start: [{ name: 'a', restartCount: 1 }], restarts: first('a', 'a-0') },
  ],
  [
    'NotIn, and no match: the policy',
    (f) => {
      Object.assign(f.pod.spec.containers[0]!, {
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'NotIn', values: [0, 1] } }],
      });
      replace(f, 'a', exited('a', 1));
    },
    {},
  ],
  [
    'RestartAllContainers: first everything is stopped',
    (f) => {
      f.pod.spec.containers[0]!.restartPolicyRules = [
        { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
      ];
      replace(f, 'a', exited('a', 88));
    },
    {
      kill: ['b', 'side'].map((name) =>
        kill(name, { reason: 'restartAllContainers', message: 'killing', graceSeconds: 0 }),
      ),
    },
  ],
  [
    'RestartAllContainers: then removed, oldest first, who asked for it last',
    (f) => {
      f.pod.spec.containers[0]!.restartPolicyRules = [
        { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
      ];
      const older = exited('b', 1, { id: 'b-before' });
      f.containers = [exited('a', 88), exited('b', 137), older, exited('side', 137)];
      f.published = { conditions: [RESTARTING] };
    },
    { removeContainers: ['side-0', 'b-before', 'b-0', 'a-0'] },
  ],
  [
    'RestartAllContainers: nobody is removed before the API server knows why',
    (f) => {
      f.pod.spec.containers[0]!.restartPolicyRules = [
        { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
      ];
      f.containers = [exited('a', 88), exited('b', 137), exited('side', 137)];
    },
    {},
  ],
  [
    'RestartAllContainers, not for the first time: a second after the end of who asked for it',
    (f) => {
      f.pod.spec.containers[0]!.restartPolicyRules = [
        { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
      ];
      f.containers = [{ ...exited('a', 88), restartCount: 1 }, exited('b', 137), exited('side', 137)];
      f.finishedAt['a-0'] = NOW - 400;
    },
    { retryAt: NOW + 600 },
  ],
  [
    'RestartAllContainers: nobody is removed while a removal that failed waits',
    (f) => {
      f.pod.spec.containers[0]!.restartPolicyRules = [
        { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
      ];
      f.containers = [exited('a', 88), exited('b', 137), exited('side', 137)];
      f.published = { conditions: [RESTARTING] };
      f.holds.set('b-0', NOW + 5);
    },
    { retryAt: NOW + 5 },
  ],
  ...[
    { state: { terminated: { exitCode: 0 } }, restartCount: 0, conditions: [RESTARTING] },
    { state: { waiting: {} }, lastState: { terminated: REMOVED }, restartCount: 1, conditions: [] },
  ].map(
    ({ conditions, ...shown }): Case => [
      `RestartAllContainers, shown as ${JSON.stringify(shown.state)}: what had ended for good begins anew`,
      (f) => {
        f.pod.spec = { restartPolicy: 'Never', containers: [container('a')] };
        f.containers = [];
        f.published = { conditions, containerStatuses: [{ name: 'a', containerID: 'x', ...shown } as never] };
      },
      { start: [{ name: 'a', restartCount: 1 }] },
    ],
  ),

  // Probes and definitions.
  [
    'a failed liveness probe: killed by its grace period, with the results that led to it',
    (f) => {
      f.pod.spec.containers[0]!.livenessProbe = { ...PROBE, terminationGracePeriodSeconds: 1 };
      f.verdicts['a-0 liveness'] = 'failure';
      f.probeResults['a-0 liveness'] = [{ at: 1, latencyMs: 2, outcome: 'failure', output: 'no' }];
    },
    {
      kill: [
        kill('a', {
          graceSeconds: 1,
          probeResults: [{ at: 1, latencyMs: 2, outcome: 'failure', output: 'no' }],
          successor: { name: 'a', restartCount: 1 },
        }),
      ],
      restarts: new Map([['a', { entry: undefined, clearedId: 'a-0' }]]),
    },
  ],
  [
    "of the first two kills by a probe neither waits: the second looks at the first one's end",
    (f) => {
      replace(f, 'a', instance('a', { id: 'a-1', restartCount: 1 }), exited('a', 137));
      f.verdicts['a-1 liveness'] = 'failure';
    },
    {
      kill: [kill('a', { containerId: 'a-1', successor: { name: 'a', restartCount: 2 } })],
      restarts: first('a', 'a-1'),
    },
  ],
  [
    'the third does',
    (f) => {
      replace(f, 'a', instance('a', { id: 'a-2', restartCount: 2 }), exited('a', 137, { id: 'a-1', restartCount: 1 }));
      f.verdicts['a-2 liveness'] = 'failure';
      f.restarts.set('a', { entry: { delayMs: 10_000, bumpedAt: NOW - 6000 }, clearedId: 'a-1' });
      f.finishedAt['a-1'] = NOW - 6000;
    },
    { kill: [kill('a', { containerId: 'a-2' })] },
  ],
  [
    'a failed startup probe',
    (f) => {
      f.verdicts['a-0 startup'] = 'failure';
    },
    {
      kill: [
        kill('a', {
          reason: 'startupProbe',
          message: 'Container a failed startup probe, will be restarted',
          successor: { name: 'a', restartCount: 1 },
        }),
      ],
      restarts: new Map([['a', { entry: undefined, clearedId: 'a-0' }]]),
    },
  ],
  [
    'whose image must be asked for: its replacement is created when it is gone',
    (f) => {
      f.pod.spec.containers[0]!.imagePullPolicy = 'Always';
      f.verdicts['a-0 liveness'] = 'failure';
    },
    { kill: [kill('a')], restarts: new Map([['a', { entry: undefined, clearedId: 'a-0' }]]) },
  ],
  [
    'whose replacement has been created already',
    (f) => {
      f.containers.unshift(instance('a', { id: 'a-1', restartCount: 1, state: 'created' }));
      f.verdicts['a-0 liveness'] = 'failure';
    },
    { kill: [kill('a')], restarts: new Map([['a', { entry: undefined, clearedId: 'a-0' }]]) },
  ],
  [
    "a sidecar's liveness probe",
    (f) => {
      f.verdicts['side-0 liveness'] = 'failure';
    },
    {
      kill: [
        kill('side', {
          message: 'Init container side failed liveness probe',
          successor: { name: 'side', restartCount: 1 },
        }),
      ],
      restarts: new Map([['side', { entry: undefined, clearedId: 'side-0' }]]),
    },
  ],
  [
    'Never: killed, and not restarted',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.verdicts['a-0 liveness'] = 'failure';
    },
    { kill: [kill('a', { message: 'Container a failed liveness probe', restart: false })] },
  ],
  [
    'what a probe killed for good stays dead, whatever the rules say of its exit code',
    (f) => {
      Object.assign(f.pod.spec.containers[0]!, {
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [137] } }],
      });
      replace(f, 'a', exited('a', 137));
      f.killed.set('a-0', { restart: false });
    },
    {},
  ],
  [
    'what a probe killed to be restarted is, whatever its exit code',
    (f) => {
      f.pod.spec.restartPolicy = 'OnFailure';
      replace(f, 'a', exited('a', 0));
      f.killed.set('a-0', { restart: true });
      f.restarts.set('a', { clearedId: 'a-0' });
    },
    { start: [{ name: 'a', restartCount: 1 }] },
  ],
  [
    'being killed: left alone',
    (f) => {
      f.verdicts['a-0 liveness'] = 'failure';
      f.operations.set('a', 'killing');
    },
    {},
  ],
  [
    'a changed definition is restarted whatever the policy',
    (f) => {
      f.pod.spec.restartPolicy = 'Never';
      f.pod.spec.containers[0]!.image = 'other';
    },
    {
      kill: [kill('a', { reason: 'definitionChanged', message: 'Container a definition changed, will be restarted' })],
      restarts: new Map([['a', { entry: undefined, clearedId: 'a-0' }]]),
    },
  ],

  // The deadline.
  [
    'activeDeadlineSeconds is watched',
    (f) => {
      f.pod.spec.activeDeadlineSeconds = 10;
      f.activeForMs = 4000;
    },
    { retryAt: NOW + 6000 },
  ],
  [
    'activeDeadlineSeconds is over, also while the sandbox is being made',
    (f) => {
      f.pod.spec.activeDeadlineSeconds = 10;
      f.activeForMs = 10_000;
      f.sandboxBusy = true;
    },
    { terminate: { reason: 'DeadlineExceeded' } },
  ],
];

describe('computePodActions', () => {
  it.each(CASES)('%s', (_name, change, expected) => {
    const fixture = healthy();
    change(fixture);
    const input = inputOf(fixture);
    const plan = computePodActions(input);
    expect(plan).toEqual({ ...NOTHING, ...expected });
    // It depends on nothing but its input, and changes nothing of it.
    expect(computePodActions(input)).toEqual(plan);
  });
});
