import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { applyDefaults } from '../../api/defaults.ts';
import type { ContainerStateTerminated, ContainerStatus, Pod, PodStatus } from '../../api/generated/types.ts';
import { PODS } from '../../api/resources.ts';
import { parseTime } from '../../api/time.ts';
import type { ProbeType, ProbeVerdict } from '../ports.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';
import type { Waiting } from '../sync/compute-pod-actions.ts';
import { generatePodStatus, type PodStatusInput } from './generate-pod-status.ts';

interface Trace {
  readonly manifest: string;
  readonly watch: readonly {
    readonly at: number;
    readonly type: string;
    readonly deleting: boolean;
    readonly status: PodStatus;
  }[];
}

const TRACES = JSON.parse(
  readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<string, Trace>;

/**
 * Where the records differ from ours on purpose:
 * - the mount of the service account's token, which pods of this test have not;
 * - `resources.limits.memory` 9007199254740988Ki, what the cgroup of a pod without a limit reads as;
 * - podIP, which upstream leaves out of the first status after PodReadyToStartContainers became True.
 */
function normalized(status: PodStatus): PodStatus {
  const copy = structuredClone(status);
  for (const c of [...(copy.containerStatuses ?? []), ...(copy.initContainerStatuses ?? [])]) {
    const mounts = (c.volumeMounts ?? []).filter((m) => !m.name.startsWith('kube-api-access'));
    if (mounts.length > 0) c.volumeMounts = mounts;
    else delete c.volumeMounts;
  }
  if (copy.resources?.limits?.memory === '9007199254740988Ki') copy.resources = {};
  const hasNetwork = copy.conditions?.some((c) => c.type === 'PodReadyToStartContainers' && c.status === 'True');
  if (hasNetwork && copy.podIP === undefined) {
    copy.podIP = 'POD_IP';
    copy.podIPs = [{ ip: 'POD_IP' }];
  }
  return copy;
}

const RULE = { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } };
const STATUS: PodRuntimeStatus = { podUID: 'UID', namespace: 'ns', name: 'p', sandboxes: [], containers: [] };

/** The runtime's view, and everything else, that leads to a recorded status. */
function derive(pod: Pod, recorded: PodStatus, previous: PodStatus, deleting: boolean): PodStatusInput {
  const containers: ContainerRuntimeStatus[] = [];
  const waiting = new Map<string, Waiting>();
  const verdicts = new Map<string, ProbeVerdict>();
  const condition = (type: string) => recorded.conditions?.find((c) => c.type === type);
  const statuses = [...(recorded.initContainerStatuses ?? []), ...(recorded.containerStatuses ?? [])];
  for (const s of statuses) {
    if (s.state?.waiting && !['ContainerCreating', 'PodInitializing'].includes(s.state.waiting.reason ?? '')) {
      waiting.set(s.name, s.state.waiting as Waiting);
    }
    if (!s.containerID) continue;
    const end = s.state?.terminated ?? (s.state?.waiting ? s.lastState?.terminated : undefined);
    containers.push(instance(s, s.restartCount, end));
    const last = s.lastState?.terminated;
    if (last && last.containerID !== s.containerID) containers.push(instance(s, s.restartCount - 1, last));
    verdicts.set(`${idOf(s.containerID)} startup`, s.started ? 'success' : 'unknown');
    verdicts.set(`${idOf(s.containerID)} readiness`, s.ready ? 'success' : 'unknown');
  }
  const ready = condition('PodReadyToStartContainers')?.status === 'True';
  const status: PodRuntimeStatus = {
    podUID: 'UID',
    namespace: 'NS',
    name: 'p',
    sandboxes: [{ id: 's', attempt: 0, ready, createdAt: 0, ips: ready ? ['POD_IP'] : [], hostNetwork: false }],
    containers,
  };
  const running = statuses.some((s) => s.state?.running);
  const isOver = recorded.phase === 'Succeeded' || recorded.phase === 'Failed';
  return {
    pod: { ...pod, metadata: { ...pod.metadata, generation: recorded.observedGeneration! } },
    status,
    previous,
    waiting,
    verdict: (id: string, type: ProbeType) => verdicts.get(`${id} ${type}`) ?? 'success',
    starting: new Set(),
    stage: isOver ? 'terminated' : deleting ? 'terminating' : 'syncing',
    deadlineExceeded: recorded.reason === 'DeadlineExceeded' || (running && condition('Ready')?.reason === 'PodFailed'),
    restartsAll: false,
    hostIP: 'POD_IP',
    now: Math.max(0, ...(recorded.conditions ?? []).map((c) => parseTime(c.lastTransitionTime) ?? 0)),
  };
}

function instance(
  s: ContainerStatus,
  restartCount: number,
  end: ContainerStateTerminated | undefined,
): ContainerRuntimeStatus {
  const time = (text: string | undefined): number => parseTime(text) ?? 0;
  return {
    id: idOf(end?.containerID ?? s.containerID!),
    name: s.name,
    sandboxId: 's',
    state: end ? 'exited' : 'running',
    restartCount,
    hash: '',
    createdAt: restartCount,
    startedAt: time(end?.startedAt ?? s.state?.running?.startedAt),
    finishedAt: time(end?.finishedAt),
    exitCode: end?.exitCode ?? 0,
    reason: end?.reason ?? '',
    message: end?.message ?? '',
    image: s.image,
    imageRef: s.imageID,
    logPath: '',
  };
}

function idOf(containerID: string): string {
  return containerID.replace('containerd://', '');
}

function podOf(trace: Trace): Pod {
  const pod = parse(trace.manifest) as Pod;
  Object.assign(pod.metadata, { namespace: 'NS', uid: 'UID' });
  return applyDefaults(PODS, pod);
}

describe('generatePodStatus', () => {
  describe.each(Object.entries(TRACES))('reports the recorded life of %s', (_name, trace) => {
    const pod = podOf(trace);
    const steps = trace.watch.map((step, i) => ({ ...step, before: trace.watch[i - 1] }));
    const told = steps.filter((s) => s.status.observedGeneration !== undefined && s.type !== 'DELETED');
    it.each(told.map((s) => [s.at, s] as const))('at %s s', (_at, { status, before, deleting }) => {
      const previous = normalized(before?.status ?? {});
      expect(generatePodStatus(derive(pod, normalized(status), previous, deleting))).toEqual(normalized(status));
    });
  });

  describe('all containers start anew', () => {
    const pod: Pod = {
      metadata: { name: 'p', namespace: 'ns', uid: 'UID', generation: 1 },
      spec: {
        restartPolicy: 'OnFailure',
        containers: [
          { name: 'a', image: 'i', restartPolicyRules: [RULE] },
          { name: 'done', image: 'i' },
        ],
      },
    };
    const running = {
      name: 'a',
      image: 'i',
      imageID: 'i',
      ready: true,
      restartCount: 3,
      containerID: 'containerd://a',
    };
    const startedAt = '2026-01-01T00:00:00Z';
    const a = instance({ ...running, state: { running: { startedAt } } }, 3, { exitCode: 42, startedAt });
    const done = instance({ ...running, name: 'done', containerID: 'containerd://d' }, 0, { exitCode: 0, startedAt });
    const at = (containers: ContainerRuntimeStatus[], restartsAll: boolean, previous: PodStatus): PodStatus =>
      generatePodStatus({ ...derive(pod, {}, previous, false), restartsAll, status: { ...STATUS, containers } });

    it('says so, shows what is removed as such with its next count, and keeps that as the last state', () => {
      const before = at([a, done], true, {});
      expect(before.conditions?.at(-1)).toMatchObject({
        type: 'AllContainersRestarting',
        status: 'True',
        reason: 'RestartAllContainersStarted',
        message: 'container exited with restart policy rule',
      });
      const message = 'The container is removed because RestartAllContainers in place';
      const state = { waiting: { reason: 'RestartingAllContainers', message } };
      const lastState = { terminated: { reason: 'RestartingAllContainers', message, exitCode: 137 } };
      const between = at([a], true, before);
      expect(between.containerStatuses).toMatchObject([
        { name: 'a', restartCount: 3, state: { terminated: { exitCode: 42 } } },
        { name: 'done', restartCount: 1, state, lastState, ready: false, imageID: '' },
      ]);
      const after = at([], false, between);
      expect(after.containerStatuses).toMatchObject([
        { name: 'a', restartCount: 4, state, lastState },
        { name: 'done', restartCount: 1 },
      ]);
      expect(after.conditions?.at(-1)).toMatchObject({ type: 'AllContainersRestarting', status: 'False' });
      const anew = { ...done, id: 'd2', state: 'running' as const, restartCount: 1 };
      expect(at([anew], false, after).containerStatuses?.[1]).toMatchObject({ restartCount: 1, lastState });
    });

    it('says of an init container that was removed when it was done that it will start anew once the apps are removed', () => {
      const withInit: Pod = { ...pod, spec: { ...pod.spec, initContainers: [{ name: 'init', image: 'i' }] } };
      const state = { terminated: { exitCode: 0, containerID: 'containerd://init' } };
      const previous = { initContainerStatuses: [{ ...running, name: 'init', restartCount: 0, state }] };
      const input = { ...derive(withInit, {}, previous, false), restartsAll: true };
      const withSandbox = input.status;
      const first = generatePodStatus({ ...input, status: { ...withSandbox, containers: [a, done] } });
      expect(first.initContainerStatuses).toMatchObject([{ restartCount: 0, state }]);
      const between = generatePodStatus({ ...input, previous: first, status: { ...withSandbox, containers: [a] } });
      expect(between.initContainerStatuses).toEqual(first.initContainerStatuses);
      const last = { ...input, restartsAll: false, status: { ...withSandbox, containers: [] } };
      const after = generatePodStatus({ ...last, previous: between });
      const waits = { restartCount: 1, state: { waiting: { reason: 'RestartingAllContainers' } } };
      expect(after.initContainerStatuses).toMatchObject([waits]);
      const again = generatePodStatus({ ...last, previous: after });
      expect(again.initContainerStatuses).toMatchObject([{ restartCount: 1, state: { waiting: {} } }]);
    });

    it('goes on when all that were to end for good have ended', () => {
      const never: Pod = { ...pod, spec: { ...pod.spec, restartPolicy: 'Never' } };
      const killed = { ...done, exitCode: 143 };
      const input = { ...derive(never, {}, { phase: 'Running' }, false), restartsAll: true };
      const { phase, conditions } = generatePodStatus({ ...input, status: { ...STATUS, containers: [a, killed] } });
      expect(phase).toBe('Running');
      expect(conditions?.at(-1)).toMatchObject({ type: 'AllContainersRestarting', status: 'True' });
    });

    it('shows no such condition where no rule can demand it', () => {
      const ruleless: Pod = { ...pod, spec: { containers: [{ name: 'a', image: 'i' }] } };
      const { conditions } = generatePodStatus(derive(ruleless, {}, {}, false));
      expect(conditions?.map((c) => c.type)).not.toContain('AllContainersRestarting');
    });
  });

  it('shortens termination messages so that those of a pod have 12 KiB together', () => {
    const names = ['a', 'b', 'c', 'd'];
    const pod: Pod = {
      metadata: { name: 'p', namespace: 'ns', uid: 'UID' },
      spec: { containers: names.map((name) => ({ name, image: 'i' })) },
    };
    const message = `${'x'.repeat(3071)}äöü`;
    const containers = names.map((name) =>
      instance({ name, image: 'i', imageID: 'i', ready: false, restartCount: 0, containerID: name }, 0, {
        exitCode: 1,
        message,
      }),
    );
    const { containerStatuses } = generatePodStatus({
      ...derive(pod, {}, {}, false),
      status: { ...STATUS, containers },
    });
    for (const s of containerStatuses ?? []) expect(s.state?.terminated?.message).toBe(`${'x'.repeat(3071)}\ufffd`);
  });

  it.each([
    ['Always', { waiting: { reason: 'RunContainerError' } }],
    ['Never', { terminated: { exitCode: 128, reason: 'StartError' } }],
  ])('one that could not start waits only if it is started again: %s', (restartPolicy, state) => {
    const containerID = 'containerd://x';
    const recorded: PodStatus = {
      containerStatuses: [
        {
          name: 'x',
          image: 'i',
          imageID: 'i',
          ready: false,
          restartCount: 0,
          containerID,
          state: { waiting: { reason: 'RunContainerError', message: 'no such file' } },
          lastState: { terminated: { exitCode: 128, reason: 'StartError', containerID } },
        },
      ],
    };
    const pod = {
      metadata: { name: 'p', namespace: 'ns', uid: 'UID' },
      spec: { restartPolicy, containers: ['x', 'y'].map((name) => ({ name, image: 'i' })) },
    } as Pod;
    const { containerStatuses } = generatePodStatus(derive(pod, recorded, {}, false));
    expect(containerStatuses?.[0]?.state).toMatchObject(state);
  });

  it('keeps the end of a container that the runtime has forgotten and that is not to run again', () => {
    const pod: Pod = {
      metadata: { name: 'p', namespace: 'ns', uid: 'UID' },
      spec: { restartPolicy: 'OnFailure', containers: ['good', 'bad'].map((name) => ({ name, image: 'i' })) },
    };
    const ended = (name: string, exitCode: number): ContainerStatus => {
      const state = { terminated: { exitCode, containerID: `containerd://${name}` } };
      return {
        name,
        image: 'i',
        imageID: 'x',
        ready: false,
        restartCount: 0,
        containerID: `containerd://${name}`,
        state,
      };
    };
    const previous = { containerStatuses: [ended('bad', 1), ended('good', 0)] };
    const { containerStatuses } = generatePodStatus({ ...derive(pod, {}, previous, false), status: STATUS });
    expect(containerStatuses).toMatchObject([
      { name: 'bad', state: { waiting: { reason: 'ContainerCreating' } }, lastState: { terminated: { exitCode: 1 } } },
      { name: 'good', state: { terminated: { exitCode: 0 } }, containerID: 'containerd://good' },
    ]);
  });
});
