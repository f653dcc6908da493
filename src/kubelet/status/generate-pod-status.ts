import type {
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
  Pod,
  PodStatus,
  VolumeMountStatus,
} from '../../api/generated/types.ts';
import { isTerminalPhase } from '../../api/pod-phase.ts';
import { isSidecar, podResources, type ResourceTotals } from '../../api/pod-resources.ts';
import { formatQuantity } from '../../api/quantity.ts';
import { formatTime } from '../../api/time.ts';
import type { ProbeType, ProbeVerdict } from '../ports.ts';
import { isRestartingAll, RESTARTING_ALL, RESTARTING_ALL_MESSAGE } from '../restarting-all.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';
import type { Waiting } from '../sync/compute-pod-actions.ts';
import { decideOnExit } from '../sync/restart-policy.ts';
import { podConditions } from './pod-conditions.ts';
import { type PodPhase, podPhase } from './pod-phase.ts';

/** How far a pod's worker is: `terminated` once nothing of the pod runs any more. */
export type PodStage = 'syncing' | 'terminating' | 'terminated';

export interface PodStatusInput {
  readonly pod: Pod;
  readonly status: PodRuntimeStatus;
  /** The status before this one: ours if we made one, else the API server's. */
  readonly previous: PodStatus | undefined;
  readonly waiting: ReadonlyMap<string, Waiting>;
  readonly verdict: (containerId: string, type: ProbeType) => ProbeVerdict;
  /** Containers whose start call, or postStart hook, has not ended yet: they are not shown as running before. */
  readonly starting: ReadonlySet<string>;
  readonly stage: PodStage;
  readonly deadlineExceeded: boolean;
  /** Whether a container's end demands that all start anew. */
  readonly restartsAll: boolean;
  readonly hostIP: string;
  /** Wall time, ms since the epoch. */
  readonly now: number;
}

/** Of all termination messages of a pod. */
const MAX_MESSAGES_BYTES = 12 * 1024;
/** Of a UTF-16 unit. */
const MAX_UTF8_BYTES = 3;
const RUNTIME_SCHEME = 'containerd://';

/** What is shown of a container that the runtime has lost. */
const LOST: ContainerStateTerminated = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
};

/** What is shown of one that was removed so that all start anew. */
const REMOVED: ContainerStateTerminated = { exitCode: 137, reason: RESTARTING_ALL, message: RESTARTING_ALL_MESSAGE };

/** What is shown of an init container that the runtime no longer has and whose end nobody saw (upstream: convertToAPIContainerStatuses). */
const UNSEEN_END: ContainerStateTerminated = {
  exitCode: 0,
  reason: 'Completed',
  message:
    'Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally',
};

/** The whole status of a pod, as upstream's kubelet reports it (recorded in `test/data/kubelet-traces.json`). Pure. */
export function generatePodStatus(given: PodStatusInput): PodStatus {
  const input = { ...given, status: withShortMessages(given.pod, given.status) };
  const { pod, status, stage } = input;
  const previous = input.previous ?? {};
  const builder = new StatusBuilder(input);
  const initContainers = pod.spec.initContainers ?? [];
  const statuses = new Map<string, ContainerStatus>();
  for (const c of [...initContainers, ...pod.spec.containers]) statuses.set(c.name, builder.containerStatus(c));
  if (stage === 'terminated') failWhatNeverEnded(pod, statuses);

  const sandbox = status.sandboxes[0];
  const hasNetwork = sandbox?.ready === true && (sandbox.hostNetwork || sandbox.ips.length > 0);
  const computed: PodPhase = input.deadlineExceeded ? 'Failed' : podPhase(pod, statuses, stage === 'terminated');
  const before = (previous.phase ?? 'Pending') as PodPhase;
  // All have ended, and all are to start anew.
  const goesOn = input.restartsAll && stage === 'syncing' && isTerminalPhase(computed);
  const wanted = stage === 'terminated' && !isTerminalPhase(computed) ? 'Failed' : goesOn ? before : computed;
  // The end is told only when nothing runs any more, and never taken back.
  const isOver = isTerminalPhase(before) || (isTerminalPhase(wanted) && stage !== 'terminated');
  const phase = isOver ? before : wanted;
  const ips = podIPs(input, hasNetwork);
  const resources = podLevelResources(pod);
  const deadline = input.deadlineExceeded && phase === 'Failed';

  const result: PodStatus = {
    ...previous,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: podConditions({
      pod,
      phase: isTerminalPhase(before) ? before : wanted,
      statuses,
      hasNetwork,
      restartsAll: input.restartsAll,
      previous: previous.conditions ?? [],
      now: input.now,
    }),
    hostIP: input.hostIP,
    hostIPs: [{ ip: input.hostIP }],
    startTime: previous.startTime ?? formatTime(input.now),
    resources,
    containerStatuses: pod.spec.containers
      .map((c) => statuses.get(c.name)!)
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  };
  if (initContainers.length > 0) result.initContainerStatuses = initContainers.map((c) => statuses.get(c.name)!);
  if (resources.requests) result.allocatedResources = resources.requests;
  if (ips.length > 0) {
    result.podIP = ips[0]!;
    result.podIPs = ips.map((ip) => ({ ip }));
  }
  if (deadline) {
    result.reason = 'DeadlineExceeded';
    result.message = 'Pod was active on the node longer than the specified deadline';
  }
  return result;
}

/** With termination messages that are, taken together, no longer than a pod's may be (upstream: status_manager normalizeStatus). */
function withShortMessages(pod: Pod, status: PodRuntimeStatus): PodRuntimeStatus {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const limit = Math.floor(
    MAX_MESSAGES_BYTES / (containers.length + initContainers.length + ephemeralContainers.length),
  );
  if (status.containers.every((c) => c.message.length * MAX_UTF8_BYTES <= limit)) return status;
  const short = (message: string): string => {
    const bytes = Buffer.from(message);
    return bytes.length <= limit ? message : bytes.subarray(0, limit).toString();
  };
  return { ...status, containers: status.containers.map((c) => ({ ...c, message: short(c.message) })) };
}

class StatusBuilder {
  private readonly in: PodStatusInput;
  private readonly isInitialized: boolean;
  private readonly isRestartingAll: boolean;

  constructor(input: PodStatusInput) {
    this.in = input;
    this.isRestartingAll = input.restartsAll || isRestartingAll(input.previous);
    const newest = input.status.sandboxes[0]?.id;
    this.isInitialized = input.pod.spec.containers.some((c) =>
      input.status.containers.some((s) => s.name === c.name && s.sandboxId === newest && s.state !== 'created'),
    );
  }

  containerStatus(container: Container): ContainerStatus {
    const { pod, status, previous, waiting, stage } = this.in;
    const { name } = container;
    const isInit = pod.spec.initContainers?.includes(container) ?? false;
    const shown = (isInit ? previous?.initContainerStatuses : previous?.containerStatuses)?.find(
      (s) => s.name === name,
    );
    const instances = status.containers.filter((c) => c.name === name);
    if (this.in.starting.has(name) && isStarting(instances[0])) instances.shift();
    const [current, before] = instances.filter((c) => c.state !== 'created');
    const isPlainInit = isInit && !isSidecar(container);
    // Finished init containers are removed early: what that says of them holds until the apps are removed as well.
    const isOver = isPlainInit && this.isInitialized;
    if (!current && shown && this.isRestartingAll && stage === 'syncing' && !isOver && !shown.state?.waiting) {
      return this.removedStatus(container, shown);
    }

    // The end of a finished init container outlives it; in a new sandbox it counts no more, since init begins again.
    const newest = status.sandboxes[0];
    const isStale = isPlainInit && !this.isInitialized && newest !== undefined && current?.sandboxId !== newest.id;
    const isRemoved = !current || (shown !== undefined && shown.restartCount > current.restartCount);
    if (isRemoved && isPlainInit && !isStale) {
      if (shown?.state?.terminated) return shown;
      // Its end went unseen. Apps run only after it has succeeded.
      if (this.isInitialized) {
        const lastState = shown?.lastState ?? {};
        return {
          ...this.waitingStatus(container, shown, current),
          state: { terminated: UNSEEN_END },
          lastState,
          ready: true,
        };
      }
      if (shown?.containerID) return shown;
    }
    if (!current || (isStale && stage === 'syncing')) {
      return this.waitingStatus(container, shown, current);
    }

    const state: ContainerState =
      current.state === 'running'
        ? { running: { startedAt: formatTime(current.startedAt) } }
        : { terminated: current.state === 'exited' ? terminatedState(current) : LOST };
    const result: ContainerStatus = {
      name,
      state,
      lastState: before ? lastStateOf(before) : carriedLastState(shown, current),
      ready: this.isReady(current, isPlainInit),
      started: this.isStarted(current, isPlainInit),
      restartCount: current.restartCount,
      image: current.image,
      imageID: current.imageRef,
      containerID: `${RUNTIME_SCHEME}${current.id}`,
      resources: declaredResources(container),
    };
    if (container.resources?.requests && Object.keys(container.resources.requests).length > 0) {
      result.allocatedResources = container.resources.requests;
    }
    const why = waitingOf(waiting, name, current);
    const end = state.terminated;
    const isDone = isPlainInit && end?.exitCode === 0;
    // One that is not started again waits for nothing.
    if (why && end && !isDone && stage === 'syncing' && decideOnExit(pod, container, end.exitCode) !== 'stay') {
      result.lastState = state;
      result.state = { waiting: { reason: why.reason, message: why.message } };
    }
    return this.withMounts(container, result);
  }

  /** Of a container that was removed so that all start anew. */
  private removedStatus(container: Container, shown: ContainerStatus): ContainerStatus {
    return this.withMounts(container, {
      name: container.name,
      state: { waiting: { reason: RESTARTING_ALL, message: RESTARTING_ALL_MESSAGE } },
      lastState: { terminated: REMOVED },
      ready: false,
      started: false,
      restartCount: shown.restartCount + 1,
      image: container.image ?? '',
      imageID: '',
    });
  }

  /** Of a container of which nothing is in the runtime (or nothing that counts). */
  private waitingStatus(
    container: Container,
    shown: ContainerStatus | undefined,
    old: ContainerRuntimeStatus | undefined,
  ): ContainerStatus {
    const { pod, waiting, stage } = this.in;
    const why = waitingOf(waiting, container.name, old);
    const fallback = pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating';
    const last = old ? terminatedState(old) : (shown?.state?.terminated ?? shown?.lastState?.terminated);
    const lost = shown?.state?.running && !old ? LOST : last;
    const end = shown?.state?.terminated;
    const isApp = pod.spec.containers.includes(container);
    const isForGood = end && !old && isApp && decideOnExit(pod, container, end.exitCode) === 'stay';
    const ended = (stage !== 'syncing' || isForGood) && end;
    const result: ContainerStatus = {
      name: container.name,
      state: ended
        ? { terminated: ended }
        : { waiting: { reason: why?.reason ?? fallback, ...(why?.message ? { message: why.message } : {}) } },
      lastState: lost && !ended ? { terminated: lost } : (shown?.lastState ?? {}),
      ready: false,
      started: false,
      restartCount: Math.max(old?.restartCount ?? 0, shown?.restartCount ?? 0),
      image: container.image ?? '',
      imageID: '',
    };
    if (ended && shown.containerID) {
      Object.assign(result, { containerID: shown.containerID, image: shown.image, imageID: shown.imageID });
    }
    return this.withMounts(container, result);
  }

  private isStarted(current: ContainerRuntimeStatus, isPlainInit: boolean): boolean {
    if (current.state !== 'running') return false;
    return isPlainInit || this.in.verdict(current.id, 'startup') === 'success';
  }

  private isReady(current: ContainerRuntimeStatus, isPlainInit: boolean): boolean {
    if (isPlainInit) return current.state === 'exited' && current.exitCode === 0;
    return this.isStarted(current, false) && this.in.verdict(current.id, 'readiness') === 'success';
  }

  private withMounts(container: Container, status: ContainerStatus): ContainerStatus {
    const mounts = container.volumeMounts ?? [];
    if (mounts.length > 0) {
      status.volumeMounts = mounts.map((m): VolumeMountStatus => {
        if (!m.readOnly) return { name: m.name, mountPath: m.mountPath };
        const recursive = m.recursiveReadOnly === 'Enabled' || m.recursiveReadOnly === 'IfPossible';
        return {
          name: m.name,
          mountPath: m.mountPath,
          readOnly: true,
          recursiveReadOnly: recursive ? 'Enabled' : 'Disabled',
        };
      });
    }
    return status;
  }
}

/** Why a container waits, unless that is about an earlier instance than the one that is shown. */
function waitingOf(
  waiting: ReadonlyMap<string, Waiting>,
  name: string,
  shown: ContainerRuntimeStatus | undefined,
): Waiting | undefined {
  const why = waiting.get(name);
  return why?.instanceId === undefined || why.instanceId === shown?.id ? why : undefined;
}

/** Whether this instance is what a start that has not ended has brought about so far: it runs, or could not be started. */
function isStarting(instance: ContainerRuntimeStatus | undefined): boolean {
  return instance !== undefined && (instance.state === 'running' || instance.startedAt === 0);
}

/** @returns {} when the instance before has not been seen to end */
function lastStateOf(before: ContainerRuntimeStatus): ContainerState {
  return before.state === 'exited' ? { terminated: terminatedState(before) } : { terminated: LOST };
}

/** The runtime keeps one dead instance, or none; the status remembers. */
function carriedLastState(shown: ContainerStatus | undefined, current: ContainerRuntimeStatus): ContainerState {
  if (!shown) return {};
  if (shown.containerID !== `${RUNTIME_SCHEME}${current.id}`) {
    const end = shown.state?.terminated ?? shown.lastState?.terminated;
    return end ? { terminated: end } : {};
  }
  // A waiting reason shows this very instance's end as the last state.
  const last = shown.lastState?.terminated;
  return last && last.containerID !== shown.containerID ? { terminated: last } : {};
}

function terminatedState(c: ContainerRuntimeStatus): ContainerStateTerminated {
  if (c.state !== 'exited') return LOST;
  return {
    exitCode: c.exitCode,
    reason: c.reason || (c.exitCode === 0 ? 'Completed' : 'Error'),
    ...(c.message ? { message: c.message } : {}),
    startedAt: formatTime(c.startedAt),
    finishedAt: formatTime(c.finishedAt),
    containerID: `${RUNTIME_SCHEME}${c.id}`,
  };
}

function declaredResources(container: Container): NonNullable<ContainerStatus['resources']> {
  const { limits, requests } = container.resources ?? {};
  return { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) };
}

/** Once a pod was initialized, a container of which no end is known counts as failed. Source: status_manager TerminatePod. */
function failWhatNeverEnded(pod: Pod, statuses: Map<string, ContainerStatus>): void {
  const init = pod.spec.initContainers ?? [];
  const lastInit = init.at(-1);
  const initialized =
    !lastInit ||
    pod.spec.containers.some((c) => {
      const s = statuses.get(c.name);
      return s?.state?.running || s?.state?.terminated || s?.lastState?.terminated;
    }) ||
    statuses.get(lastInit.name)?.state?.terminated?.exitCode === 0;
  const hasEvidence = (c: Container): boolean => {
    const s = statuses.get(c.name);
    return Boolean(s?.state?.running || s?.lastState?.terminated || s?.state?.terminated?.exitCode === 0);
  };
  const reached = init.slice(0, initialized ? init.length : init.findLastIndex(hasEvidence) + 1);
  for (const c of initialized ? [...init, ...pod.spec.containers] : reached) {
    const s = statuses.get(c.name)!;
    if (s.state?.terminated) continue;
    const end = s.state?.waiting && s.lastState?.terminated ? s.lastState.terminated : LOST;
    statuses.set(c.name, { ...s, state: { terminated: end }, ready: false, started: false });
  }
}

/** What the pod as a whole may use and asks for. */
function podLevelResources(pod: Pod): NonNullable<PodStatus['resources']> {
  const format = (totals: ResourceTotals): Record<string, string> =>
    Object.fromEntries(Object.entries(totals).map(([name, quantity]) => [name, formatQuantity(quantity)]));
  const limits = format(podResources(pod, 'limits'));
  const requests = format(podResources(pod, 'requests'));
  return {
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
    ...(Object.keys(requests).length > 0 ? { requests } : {}),
  };
}

/** The pod's addresses; those it had, while it has none. */
function podIPs(input: PodStatusInput, hasNetwork: boolean): readonly string[] {
  if (input.pod.spec.hostNetwork) return [input.hostIP];
  const ips = input.status.sandboxes[0]?.ips ?? [];
  if (hasNetwork && ips.length > 0) return ips;
  return input.previous?.podIPs?.map((p) => p.ip).filter((ip) => ip !== undefined) ?? [];
}
