import type { Container, ContainerStatus, Event, Pod } from '../../api/generated/types.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { isTerminalPhase } from '../../api/pod-phase.ts';
import { parseTime } from '../../api/time.ts';
import type { ProbeRecord } from '../../kubelet/ports.ts';
import { timeLeft } from './duration.ts';
import {
  type ContainerFacts,
  diskAdvice,
  endWords,
  eventTime,
  explainFailed,
  explainLastEnd,
  explainNotRunning,
  explainRunning,
  instanceId,
  isRestarted,
  newest,
} from './explain-container.ts';
import { type Cause, type Explanation, isFailing } from './explanation.ts';
import { count } from './probe-words.ts';
import { plainText } from './style.ts';

/**
 * Says in plain words why a pod is not Ready (or how it ended, or what it still waits for before it is gone), the facts this
 * rests on, and what can be done. Pure.
 * @param events of this pod, in any order
 * @param probes the kubelet's probe records of this pod; empty when they cannot be had, the events then serve instead
 * @param now wall time, ms since the epoch
 */
export function explainPod(
  pod: Pod,
  events: readonly Event[],
  probes: readonly ProbeRecord[],
  now: number,
): Explanation {
  if (pod.metadata.deletionTimestamp !== undefined) return explainTerminating(pod, now);
  if (isTerminalPhase(pod.status?.phase)) return explainFinished(pod, events, now);
  const inits = initFacts(pod, events, probes, now);
  const apps = (pod.spec?.containers ?? []).map((c) => factsOf(pod, c, `container ${c.name}`, events, probes, now));
  const sidecars = inits.filter((f) => isSidecar(f.container));

  if (conditionOf(pod, 'Ready')?.status === 'True') {
    const notes = [...sidecars, ...apps].flatMap((f) => {
      const note = explainRunning(f) ?? explainLastEnd(f);
      return note ? [note] : [];
    });
    return { verdict: 'ready', headline: 'Ready.', causes: notes };
  }

  const whole = explainBeforeContainers(pod, events, now);
  const held = whole || conditionOf(pod, 'Initialized')?.status === 'True' ? [] : explainInit(inits);
  const causes = whole ? [whole] : held.length > 0 ? held : explainApps(sidecars, apps, pod);
  if (causes.length === 0) {
    causes.push({ kind: 'NotReadyYet', text: 'its status is being brought up to date', evidence: [] });
  }
  const verdict = causes.some((c) => isFailing(c.kind)) ? 'failing' : 'waiting';
  const more = causes.length > 1 ? ` (and ${count(causes.length - 1, 'more reason')})` : '';
  return { verdict, headline: `Not ready: ${causes[0]!.text}${more}.`, causes };
}

/** What can go wrong before the kubelet looks at a single container. */
function explainBeforeContainers(pod: Pod, events: readonly Event[], now: number): Cause | undefined {
  if (!pod.spec?.nodeName) {
    const refused = conditionOf(pod, 'PodScheduled');
    if (refused?.status === 'False' && refused.message) {
      const message = plainText(refused.message).replace(/\.$/, '');
      const text = `no node can take the pod: ${message}`;
      return { kind: 'Unschedulable', text, evidence: [], advice: placementAdvice(message) };
    }
    const advice = 'kubelette get nodes shows whether one is Ready; kubelette up starts it';
    return { kind: 'NotAccepted', text: 'no node has taken the pod', evidence: [], advice };
  }
  const statuses = pod.status?.containerStatuses ?? [];
  if (statuses.length === 0) return { kind: 'Starting', text: 'the node has not begun with it yet', evidence: [] };
  const all = [...(pod.status?.initContainerStatuses ?? []), ...statuses];
  const touched = all.some((s) => {
    const reason = s.state?.waiting?.reason ?? '';
    return !s.state?.waiting || !['ContainerCreating', 'PodInitializing', ''].includes(reason) || s.restartCount > 0;
  });
  if (touched || conditionOf(pod, 'PodReadyToStartContainers')?.status === 'True') return undefined;

  const mount = newest(events, (e) => e.reason === 'FailedMount' || e.reason === 'FailedAttachVolume');
  const sandbox = newest(events, (e) => e.reason === 'FailedCreatePodSandBox');
  const problem = newest(
    [mount, sandbox].filter((e) => e !== undefined),
    () => true,
  );
  if (!problem) return { kind: 'Starting', text: 'its sandbox, with the network, is being set up', evidence: [] };
  const at = eventTime(problem);
  const message = plainText(problem.message ?? '');
  const evidence = [`${message}${at === undefined ? '' : ` (${humanDuration(now - at)} ago)`}`];
  if (problem === sandbox) {
    const advice = diskAdvice(message) ?? 'kubelette doctor checks what the node needs; the agent tries again';
    return { kind: 'SandboxFailed', text: 'its sandbox cannot be set up', evidence, advice };
  }
  const volume = /volume "([^"]+)"/.exec(message)?.[1];
  const missing = /(secret|configmap) "([^"]+)" not found/.exec(message);
  return {
    kind: 'VolumeNotReady',
    text: `its volume${volume === undefined ? '' : ` ${volume}`} cannot be mounted`,
    evidence,
    advice: missing
      ? `create the ${missing[1]} ${missing[2]}; the pod then starts by itself`
      : (diskAdvice(message) ?? 'correct what the message names'),
  };
}

/** By the words of the scheduler, and of a kubelet that rejects a pod. */
const PLACEMENT_ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /affinity|selector/,
    'correct spec.nodeSelector or spec.affinity; kubelette get nodes -o yaml shows the labels of the node',
  ],
  [
    /Insufficient|enough resource|Too many pods/,
    'lower resources.requests, or delete other pods; kubelette get nodes -o yaml shows what the node has',
  ],
  [/free ports/, 'another pod has its hostPort: delete that one, or take another port'],
  [/taint/i, 'add the taint of the node to spec.tolerations'],
  [/unschedulable/, 'kubectl uncordon lets the node take pods again'],
  [/no nodes available/, 'kubelette up starts one'],
];

function placementAdvice(message: string): string {
  return PLACEMENT_ADVICE.find(([words]) => words.test(message))?.[1] ?? 'correct what the message names';
}

/** The init container that everything else waits for; nothing once all are done. */
function explainInit(inits: readonly ContainerFacts[]): Cause[] {
  for (const facts of inits) {
    const { status, container, now } = facts;
    if (isSidecar(container) ? status?.started === true : status?.state?.terminated?.exitCode === 0) continue;
    const running = status?.state?.running;
    if (!running || isSidecar(container)) {
      const cause = explainNotRunning(facts) ?? explainRunning(facts);
      return cause ? [cause] : [];
    }
    const startedAt = parseTime(running.startedAt);
    const since = startedAt === undefined ? '' : ` for ${humanDuration(now - startedAt)}`;
    const end = status.lastState?.terminated;
    const evidence = end ? [`attempt ${status.restartCount + 1}; the one before: ${endWords(end, now)}`] : [];
    const advice = `kubelette logs -f ${facts.pod.metadata.name} -c ${container.name}`;
    return [{ kind: 'InitRunning', container: container.name, text: `${facts.label} runs${since}`, evidence, advice }];
  }
  return [];
}

function explainApps(sidecars: readonly ContainerFacts[], apps: readonly ContainerFacts[], pod: Pod): Cause[] {
  const over = apps.every((f) => {
    const end = f.status?.state?.terminated;
    return end !== undefined && !isRestarted(f, end.exitCode);
  });
  if (over) return [{ kind: 'Ended', text: 'all its containers have ended; the pod is being finished', evidence: [] }];
  const containers = [...sidecars, ...apps];
  const causes = containers.flatMap((f) => {
    if (f.status?.ready) return [];
    const cause = explainNotRunning(f) ?? explainRunning(f);
    if (!cause) return [];
    // Why it had to be restarted matters as much as that it is not ready again.
    const before = f.status?.state?.running ? explainLastEnd(f) : undefined;
    return before ? [cause, before] : [cause];
  });
  // What has ended for good says least about why the rest is not ready.
  causes.sort((a, b) => Number(a.kind === 'Ended') - Number(b.kind === 'Ended'));
  if (causes.length > 0) return causes;
  const conditions = pod.status?.conditions ?? [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const condition = conditions.find((c) => c.type === conditionType);
    if (condition?.status === 'True') continue;
    const now = condition
      ? `the condition is ${condition.status}${condition.message ? `: ${condition.message}` : ''}`
      : 'nobody has set the condition';
    causes.push({
      kind: 'ReadinessGate',
      text: `the readiness gate ${conditionType} is closed`,
      evidence: [now],
      advice: 'who owns the gate must set the condition to True in the status of the pod',
    });
  }
  return causes;
}

function explainTerminating(pod: Pod, now: number): Explanation {
  const deadline = parseTime(pod.metadata.deletionTimestamp) ?? now;
  const specs = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const running = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].filter(
    (s) => s.state?.running,
  );
  const left = deadline - now;
  if (running.length === 0) {
    const finalizers = pod.metadata.finalizers ?? [];
    if (finalizers.length > 0) {
      const text = `waits for ${count(finalizers.length, 'finalizer')}: ${finalizers.join(', ')}`;
      const advice = 'who set a finalizer must remove it from metadata.finalizers';
      return {
        verdict: 'terminating',
        headline: `Terminating: ${text}.`,
        causes: [{ kind: 'Finalizers', text, evidence: [], advice }],
      };
    }
    const text = 'all containers have stopped; the sandbox, volumes and network are being removed';
    return {
      verdict: 'terminating',
      headline: `Terminating: ${text}.`,
      causes: [{ kind: 'Terminating', text, evidence: [] }],
    };
  }
  const names = running.map((s) => s.name).join(', ');
  const end = left > 0 ? `killed in ${timeLeft(left)} at the latest` : `to be killed since ${humanDuration(-left)}`;
  const text = `waits for ${running.length === 1 ? 'container' : 'containers'} ${names} to stop, ${end}`;
  const evidence = running.flatMap(({ name }) => {
    const spec = specs.find((c) => c.name === name);
    if (spec?.lifecycle?.preStop) return [`${name} has a preStop hook, which uses up the same time`];
    return spec && isSidecar(spec) ? [`${name} is a sidecar: it stops after all other containers`] : [];
  });
  const advice = left > 5000 ? `kubelette delete pod ${pod.metadata.name} --now does not wait so long` : undefined;
  return {
    verdict: 'terminating',
    headline: `Terminating: ${text}.`,
    causes: [{ kind: 'Terminating', text, evidence, advice }],
  };
}

function explainFinished(pod: Pod, events: readonly Event[], now: number): Explanation {
  if (pod.status?.phase === 'Succeeded') {
    return { verdict: 'succeeded', headline: 'Finished: all containers ended with exit code 0.', causes: [] };
  }
  const { reason, message } = pod.status ?? {};
  const ended = [
    ...initFacts(pod, events, [], now),
    ...(pod.spec?.containers ?? []).map((c) => factsOf(pod, c, `container ${c.name}`, events, [], now)),
  ].filter((f) => (f.status?.state?.terminated?.exitCode ?? 0) !== 0 && !isSidecar(f.container));
  const causes: Cause[] = [];
  const rejection = /^Pod was rejected: (.*)$/s.exec(plainText(message ?? ''))?.[1]?.replace(/\.$/, '');
  if (rejection !== undefined) {
    causes.push({
      kind: 'Rejected',
      text: `the node rejected the pod${reason ? ` (${reason})` : ''}: ${rejection}`,
      evidence: [],
      advice: `${placementAdvice(rejection)}; then create the pod anew: this one is not tried again`,
    });
  } else if (reason === 'DeadlineExceeded') {
    causes.push({
      kind: 'DeadlineExceeded',
      text: `it ran longer than its activeDeadlineSeconds (${pod.spec?.activeDeadlineSeconds ?? '?'}s)`,
      evidence: message ? [plainText(message)] : [],
      advice: 'raise spec.activeDeadlineSeconds, or make it faster',
    });
  } else if (reason) {
    causes.push({ kind: 'PodFailed', text: reason, evidence: message ? [plainText(message)] : [] });
  }
  causes.push(...ended.flatMap((f) => explainFailed(f) ?? []));
  if (causes.length === 0) causes.push({ kind: 'PodFailed', text: 'the node does not say why', evidence: [] });
  return { verdict: 'failed', headline: `Failed: ${causes[0]!.text}.`, causes };
}

function initFacts(pod: Pod, events: readonly Event[], probes: readonly ProbeRecord[], now: number): ContainerFacts[] {
  const inits = pod.spec?.initContainers ?? [];
  return inits.map((c, i) => {
    const label = isSidecar(c) ? `sidecar ${c.name}` : `init container ${i + 1} of ${inits.length} (${c.name})`;
    return factsOf(pod, c, label, events, probes, now);
  });
}

function factsOf(
  pod: Pod,
  container: Container,
  label: string,
  events: readonly Event[],
  probes: readonly ProbeRecord[],
  now: number,
): ContainerFacts {
  const status = statusOf(pod, container.name);
  const id = instanceId(status?.containerID);
  const allProbes = probes.filter((p) => p.container === container.name);
  return {
    pod,
    container,
    status,
    label,
    events: events.filter((e) => e.involvedObject.fieldPath?.endsWith(`{${container.name}}`)),
    probes: allProbes.filter((p) => id === undefined || p.containerId === id),
    allProbes,
    now,
  };
}

function statusOf(pod: Pod, name: string): ContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses].find((s) => s.name === name);
}

function conditionOf(pod: Pod, type: string) {
  return pod.status?.conditions?.find((c) => c.type === type);
}

/** An init container that runs along with the pod. */
function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}
