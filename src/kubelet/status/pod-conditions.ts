import type { ContainerStatus, Pod, PodCondition } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { formatTime } from '../../api/time.ts';
import { ALL_RESTARTING_CONDITION } from '../restarting-all.ts';
import { mayRestartAll } from '../sync/restart-policy.ts';
import type { PodPhase } from './pod-phase.ts';

/** The conditions that belong to the kubelet, in the order in which it reports them. Others are kept as they are. */
export const OWN_CONDITIONS = [
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
  ALL_RESTARTING_CONDITION,
] as const;

interface Verdict {
  readonly status: 'True' | 'False';
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/**
 * All conditions of a pod. Those whose status is as before keep their lastTransitionTime. Pure.
 * Source: upstream `pkg/kubelet/status/generate.go`.
 * @param now wall time, ms since the epoch
 */
export function podConditions(input: {
  readonly pod: Pod;
  readonly phase: PodPhase;
  readonly statuses: ReadonlyMap<string, ContainerStatus>;
  readonly hasNetwork: boolean;
  /** Whether an end demands that all containers start anew. */
  readonly restartsAll: boolean;
  readonly previous: readonly PodCondition[];
  readonly now: number;
}): PodCondition[] {
  const { pod, phase, statuses, previous } = input;
  const foreign = previous.filter((c) => !(OWN_CONDITIONS as readonly string[]).includes(c.type));
  const containersReady = containersReadyVerdict(pod, phase, statuses);
  const verdicts: Record<(typeof OWN_CONDITIONS)[number], Verdict> = {
    PodReadyToStartContainers: { status: input.hasNetwork ? 'True' : 'False' },
    Initialized: initializedVerdict(pod, phase, statuses),
    Ready: readyVerdict(pod, containersReady, previous),
    ContainersReady: containersReady,
    PodScheduled: { status: 'True' },
    [ALL_RESTARTING_CONDITION]: restartingVerdict(phase, input.restartsAll),
  };
  const shown = OWN_CONDITIONS.filter((type) => type !== ALL_RESTARTING_CONDITION || mayRestartAll(pod));
  const own = shown.map((type): PodCondition => {
    const { status, reason, message } = verdicts[type];
    const old = previous.find((c) => c.type === type);
    return {
      type,
      status,
      lastProbeTime: null as unknown as string,
      lastTransitionTime: (old?.status === status && old.lastTransitionTime) || formatTime(input.now),
      ...(reason ? { reason } : {}),
      ...(message ? { message } : {}),
      // Upstream tells no generation with this one.
      ...(pod.metadata.generation === undefined || type === ALL_RESTARTING_CONDITION
        ? {}
        : { observedGeneration: pod.metadata.generation }),
    };
  });
  return [...foreign, ...own];
}

function containersReadyVerdict(pod: Pod, phase: PodPhase, statuses: ReadonlyMap<string, ContainerStatus>): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const counted = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers];
  const unready = counted.filter((c) => !statuses.get(c.name)?.ready).map((c) => c.name);
  if (unready.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${unready.join(' ')}]`,
  };
}

function restartingVerdict(phase: PodPhase, restartsAll: boolean): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  if (!restartsAll) return { status: 'False' };
  return {
    status: 'True',
    reason: 'RestartAllContainersStarted',
    message: 'container exited with restart policy rule',
  };
}

function readyVerdict(pod: Pod, containersReady: Verdict, conditions: readonly PodCondition[]): Verdict {
  if (containersReady.status === 'False') return containersReady;
  const messages: string[] = [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const condition = conditions.find((c) => c.type === conditionType);
    if (!condition) {
      messages.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    } else if (condition.status !== 'True') {
      messages.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`);
    }
  }
  if (messages.length === 0) return { status: 'True' };
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}

function initializedVerdict(pod: Pod, phase: PodPhase, statuses: ReadonlyMap<string, ContainerStatus>): Verdict {
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  const started = pod.spec.containers.some((c) => {
    const state = statuses.get(c.name)?.state;
    return state?.running || state?.terminated;
  });
  if (started) return { status: 'True' };
  const incomplete = (pod.spec.initContainers ?? []).filter((c) => {
    const status = statuses.get(c.name);
    return isSidecar(c) ? !status?.started : !status?.ready;
  });
  if (incomplete.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.map((c) => c.name).join(' ')}]`,
  };
}
