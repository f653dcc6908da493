import type { Container, ContainerStateTerminated, ContainerStatus, Event, Pod } from '../../api/generated/types.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { parseTime } from '../../api/time.ts';
import type { ProbeRecord } from '../../kubelet/ports.ts';
import { parseDuration } from '../../lib/go-duration.ts';
import { timeLeft } from './duration.ts';
import type { Cause, CauseKind } from './explanation.ts';
import { count, probeEvidence, probeTarget, resultWords, streakOf } from './probe-words.ts';
import { plainText } from './style.ts';

/** One container with all that is known of it. */
export interface ContainerFacts {
  readonly pod: Pod;
  readonly container: Container;
  readonly status: ContainerStatus | undefined;
  /** `container app`, `init container 2 of 3 (migrate)`, `sidecar proxy`. */
  readonly label: string;
  /** Events about this container. */
  readonly events: readonly Event[];
  /** Its probes, of the instance that runs now. */
  readonly probes: readonly ProbeRecord[];
  /** Its probes, of every instance that is remembered. */
  readonly allProbes: readonly ProbeRecord[];
  /** Wall time, ms since the epoch. */
  readonly now: number;
}

/** When an event happened last: ms since the epoch, or undefined. */
export function eventTime(event: Event): number | undefined {
  return (
    parseTime(event.series?.lastObservedTime) ??
    parseTime(event.lastTimestamp) ??
    parseTime(event.eventTime) ??
    parseTime(event.firstTimestamp)
  );
}

/** The newest event that a test accepts; the later one in the list when times are equal or missing. */
export function newest(events: readonly Event[], test: (event: Event) => boolean): Event | undefined {
  let best: Event | undefined;
  for (const event of events) {
    if (test(event) && (!best || (eventTime(event) ?? 0) >= (eventTime(best) ?? 0))) best = event;
  }
  return best;
}

/** Why a container that does not run does not run; undefined when it runs. */
export function explainNotRunning(facts: ContainerFacts): Cause | undefined {
  const { status, label, container, now } = facts;
  const state = status?.state;
  if (state?.running) return undefined;
  if (state?.terminated) return explainEnded(facts, state.terminated);
  const cause = (kind: CauseKind, text: string, evidence: string[] = [], advice?: string): Cause => ({
    kind,
    container: container.name,
    text: `${label} ${text}`,
    evidence,
    advice,
  });
  const reason = state?.waiting?.reason ?? 'ContainerCreating';
  const message = plainText(state?.waiting?.message ?? '');
  const said = message === '' ? [] : [message];
  switch (reason) {
    case 'ContainerCreating':
    case 'PodInitializing': {
      const pull = newest(facts.events, (e) => ['Pulling', 'Pulled', 'Failed'].includes(e.reason ?? ''));
      if (pull?.reason !== 'Pulling') return cause('ContainerCreating', 'is being created');
      const since = eventTime(pull);
      return cause(
        'ImagePulling',
        `waits for its image ${container.image}, which is being pulled${since === undefined ? '' : `, since ${humanDuration(now - since)}`}`,
      );
    }
    case 'CrashLoopBackOff':
      return explainBackOff(facts, message);
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'RegistryUnavailable':
    case 'ImageInspectError': {
      const failed = newest(
        facts.events,
        (e) => e.reason === 'Failed' && /^Failed to pull image/.test(e.message ?? ''),
      );
      const evidence = failed && !message.includes('failed') ? [plainText(failed.message ?? '')] : said;
      const tries = failed?.count ?? 1;
      const next = nextPull(failed, now);
      const text = `cannot have its image ${container.image}: ${count(tries, 'pull')} failed${next}`;
      return cause('ImagePullFailed', text, evidence, pullAdvice(evidence.join(' ')));
    }
    case 'ErrImageNeverPull':
      return cause(
        'ImageNotPresent',
        `needs the image ${container.image}, which is not on this machine and must not be pulled (imagePullPolicy: Never)`,
        said,
        'load the image, or set imagePullPolicy: IfNotPresent',
      );
    case 'InvalidImageName':
      return cause(
        'ImageNameInvalid',
        `has an image name that is none: ${container.image}`,
        said,
        'correct spec.containers[].image',
      );
    case 'CreateContainerConfigError':
      return cause(
        'ConfigMissing',
        `cannot be configured${message === '' ? '' : `: ${message}`}`,
        [],
        configAdvice(message),
      );
    case 'CreateContainerError':
      return cause('CreateFailed', 'cannot be created by the runtime', said, diskAdvice(message));
    case 'RunContainerError':
      return cause('StartFailed', `cannot be started${tried(status)}`, said, startAdvice(message, container.name));
    case 'PostStartHookError':
      return cause(
        'PostStartHookFailed',
        `was killed since its postStart hook failed${tried(status)}`,
        said,
        HOOK_ADVICE,
      );
    default:
      return cause('Waiting', `waits: ${reason}`, said);
  }
}

/** Why a container that runs is not ready (or not started), or what threatens it; undefined when all is well. */
export function explainRunning(facts: ContainerFacts): Cause | undefined {
  const { status, container, label, probes, now } = facts;
  if (!status?.state?.running) return undefined;
  const cause = (kind: CauseKind, text: string, evidence: string[], advice?: string): Cause => ({
    kind,
    container: container.name,
    text: `${label} ${text}`,
    evidence,
    advice,
  });
  const startedAt = parseTime(status.state.running.startedAt) ?? 0;
  const dying = killedByProbe(facts.events, startedAt, undefined);
  // Times are cut to whole seconds: the event may speak of the instance before. The probe's own record knows better.
  const record = probes.find((p) => p.type === dying);
  if (dying && (record === undefined || record.verdict === 'failure')) {
    const kind = dying === 'liveness' ? 'LivenessKilled' : 'StartupKilled';
    return cause(
      kind,
      `is being stopped since its ${dying} probe failed; it will be restarted`,
      probeFacts(facts, dying),
    );
  }
  const logs = `kubelette logs ${facts.pod.metadata.name} -c ${container.name}`;
  if (!status.started && container.startupProbe) {
    const broken = brokenProbe(facts, 'startup');
    if (broken)
      return cause(
        'ProbeBroken',
        'runs, but its startup probe itself cannot be made',
        broken,
        probeAdvice(facts, 'startup'),
      );
    return cause('StartupProbe', 'runs and waits for its startup probe to succeed', probeFacts(facts, 'startup'), logs);
  }
  if (!status.ready && container.readinessProbe) {
    const broken = brokenProbe(facts, 'readiness');
    if (broken)
      return cause(
        'ProbeBroken',
        'runs, but its readiness probe itself cannot be made',
        broken,
        probeAdvice(facts, 'readiness'),
      );
    const record = probes.find((p) => p.type === 'readiness');
    const was = record?.results.some((r) => r.outcome === 'success') && streakOf(record)?.good === false;
    const text = was
      ? 'runs, but is not ready any more: its readiness probe fails'
      : 'runs and waits for its readiness probe to succeed';
    return cause('ReadinessProbe', text, probeFacts(facts, 'readiness'), logs);
  }
  if (!status.ready) {
    if (!status.started && container.lifecycle?.postStart) return cause('NotReadyYet', 'runs its postStart hook', []);
    return cause(
      'NotReadyYet',
      `has just started${startedAt > 0 ? ` (${humanDuration(now - startedAt)} ago)` : ''}`,
      [],
    );
  }
  const liveness = probes.find((p) => p.type === 'liveness');
  const streak = liveness && streakOf(liveness);
  if (liveness && streak && !streak.good) {
    return cause('LivenessFailing', 'is ready, but its liveness probe fails', probeEvidence(liveness, now), logs);
  }
  return undefined;
}

/** How a container ended, in one line: `exit code 137 (SIGKILL), reason OOMKilled, 3s ago, after running for 2m`. */
export function endWords(end: ContainerStateTerminated, now: number): string {
  const signal = SIGNALS[end.exitCode - 128];
  const finished = parseTime(end.finishedAt);
  const started = parseTime(end.startedAt);
  const parts = [`exit code ${end.exitCode}${signal ? ` (${signal})` : ''}`];
  if (end.reason && !['Error', 'Completed'].includes(end.reason)) parts.push(`reason ${end.reason}`);
  if (finished !== undefined && finished > 0) {
    parts.push(`${humanDuration(Math.max(0, now - finished))} ago`);
    if (started !== undefined && started > 0)
      parts.push(`after running for ${humanDuration(Math.max(0, finished - started))}`);
  }
  return parts.join(', ');
}

const SIGNALS: Record<number, string> = { 2: 'SIGINT', 6: 'SIGABRT', 9: 'SIGKILL', 11: 'SIGSEGV', 15: 'SIGTERM' };

/** What was wrong with the last end of a container that was restarted or is to be; undefined when it never ended. */
export function explainLastEnd(facts: ContainerFacts): Cause | undefined {
  const end = facts.status?.lastState?.terminated;
  if (!end) return undefined;
  const { kind, why } = whyEnded(facts, end);
  const restarts = facts.status?.restartCount ?? 0;
  return {
    kind,
    container: facts.container.name,
    text: `${facts.label} was restarted ${restarts === 1 ? 'once' : `${restarts} times`}, the last time: ${why}`,
    evidence: endEvidence(facts, end, kind),
    advice: `kubelette logs ${facts.pod.metadata.name} -c ${facts.container.name} --previous`,
  };
}

/** Why a container of a pod that is over failed; undefined when it did not. */
export function explainFailed(facts: ContainerFacts): Cause | undefined {
  const end = facts.status?.state?.terminated;
  if (!end || end.exitCode === 0) return undefined;
  const { kind, why } = whyEnded(facts, end);
  return {
    kind: kind === 'CrashLoop' ? 'Ended' : kind,
    container: facts.container.name,
    text: `${facts.label} ended: ${why}`,
    evidence: endEvidence(facts, end, kind),
    advice: `kubelette logs ${facts.pod.metadata.name} -c ${facts.container.name}`,
  };
}

/** Whether the kubelet will start this ended container again. */
export function isRestarted(facts: ContainerFacts, exitCode: number): boolean {
  const policy = restartPolicyOf(facts);
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

function explainEnded(facts: ContainerFacts, end: ContainerStateTerminated): Cause {
  const { kind, why } = whyEnded(facts, end);
  if (isRestarted(facts, end.exitCode)) {
    return {
      kind,
      container: facts.container.name,
      text: `${facts.label} has ended (${why}) and is to be started again`,
      evidence: endEvidence(facts, end, kind),
      advice: endAdvice(facts, end, kind, ''),
    };
  }
  return {
    kind: kind === 'CrashLoop' ? 'Ended' : kind,
    container: facts.container.name,
    text: `${facts.label} has ended (${why}); restartPolicy ${restartPolicyOf(facts)} leaves it so`,
    evidence: endEvidence(facts, end, kind),
    advice: end.exitCode === 0 ? undefined : endAdvice(facts, end, kind, ''),
  };
}

function explainBackOff(facts: ContainerFacts, message: string): Cause {
  const { status, label, container, now } = facts;
  const end = status?.lastState?.terminated;
  const delayMs = parseDuration(/^back-off (\S+) restarting/.exec(message)?.[1] ?? '');
  const finished = parseTime(end?.finishedAt);
  const left =
    delayMs === undefined || finished === undefined
      ? 'waits for its next start'
      : finished + delayMs > now
        ? `next start in ${timeLeft(finished + delayMs - now)}`
        : 'next start any moment';
  const restarts = status?.restartCount ?? 0;
  const { kind, why } = end ? whyEnded(facts, end) : { kind: 'CrashLoop' as const, why: 'nothing is known of why' };
  const what = kind === 'StartFailed' ? 'cannot be started' : `keeps ending (${why})`;
  return {
    kind,
    container: container.name,
    text: `${label} ${what}, restarted ${restarts === 1 ? 'once' : `${restarts} times`} so far; ${left}`,
    evidence: end ? endEvidence(facts, end, kind) : [],
    advice: end && endAdvice(facts, end, kind, ' --previous'),
  };
}

function whyEnded(facts: ContainerFacts, end: ContainerStateTerminated): { kind: CauseKind; why: string } {
  if (end.reason === 'OOMKilled') return { kind: 'OOMKilled', why: 'killed for using more memory than its limit' };
  const span = [parseTime(end.startedAt), parseTime(end.finishedAt)] as const;
  const probe = killedByProbe(facts.events, ...span);
  if (probe === 'liveness') return { kind: 'LivenessKilled', why: 'killed since its liveness probe failed' };
  if (probe === 'startup') return { kind: 'StartupKilled', why: 'killed since its startup probe failed' };
  if (newest(facts.events, (e) => e.reason === 'FailedPostStartHook' && happenedIn(e, ...span))) {
    return { kind: 'PostStartHookFailed', why: 'killed since its postStart hook failed' };
  }
  if (end.reason === 'StartError') return { kind: 'StartFailed', why: 'it could not be started' };
  return { kind: 'CrashLoop', why: `exit code ${end.exitCode}` };
}

function endAdvice(facts: ContainerFacts, end: ContainerStateTerminated, kind: CauseKind, previous: string): string {
  const { container, pod } = facts;
  if (kind === 'OOMKilled') {
    return `raise resources.limits.memory of ${container.name} (now ${container.resources?.limits?.memory ?? 'unset'}), or make it use less`;
  }
  if (kind === 'StartFailed') return startAdvice(end.message ?? '', container.name);
  if (kind === 'PostStartHookFailed') return HOOK_ADVICE;
  if (kind === 'CrashLoop' && end.exitCode === 0 && (pod.spec?.restartPolicy ?? 'Always') === 'Always') {
    return 'its command ends by itself; a pod for a task that ends needs restartPolicy: OnFailure or Never';
  }
  return `kubelette logs ${pod.metadata.name} -c ${container.name}${previous}`;
}

const HOOK_ADVICE = 'mend the hook: lifecycle.postStart';

function endEvidence(facts: ContainerFacts, end: ContainerStateTerminated, kind: CauseKind): string[] {
  const said = plainText(end.message ?? '');
  const probe = kind === 'LivenessKilled' ? 'liveness' : kind === 'StartupKilled' ? 'startup' : undefined;
  return [
    endWords(end, facts.now),
    ...(said === '' ? [] : [`it said: ${said}`]),
    ...(probe === undefined ? [] : killEvidence(facts, end, probe)),
    ...(kind === 'OOMKilled'
      ? [`memory limit: ${facts.container.resources?.limits?.memory ?? 'none of its own'}`]
      : []),
  ];
}

/** The probe results that had an instance killed: those remembered, else what the events say. */
function killEvidence(facts: ContainerFacts, end: ContainerStateTerminated, type: 'liveness' | 'startup'): string[] {
  const id = instanceId(end.containerID);
  const record = facts.allProbes.find((p) => p.type === type && p.containerId === id);
  const streak = record && streakOf(record);
  if (!record || !streak || streak.good) return unhealthyEvents(facts, type);
  const last = record.results.find((r) => r.outcome === 'failure')!;
  const checks = streak.length === 1 ? 'its last check' : `its last ${streak.length} checks`;
  return [`${type} probe: ${probeTarget(record.probe)}; ${checks} ${resultWords(last)}`];
}

/** The runtime's own id of a `containerd://ID`. */
export function instanceId(containerID: string | undefined): string | undefined {
  return containerID?.replace(/^[\w-]+:\/\//, '');
}

/** Which probe had the instance killed that ran from `startedAt` to `finishedAt` (undefined: still runs), if one had. */
function killedByProbe(
  events: readonly Event[],
  startedAt: number | undefined,
  finishedAt: number | undefined,
): 'liveness' | 'startup' | undefined {
  const kill = newest(events, (e) => {
    if (e.reason !== 'Killing' || !/failed (liveness|startup) probe/.test(e.message ?? '')) return false;
    return happenedIn(e, startedAt, finishedAt);
  });
  return kill && (/failed (liveness|startup) probe/.exec(kill.message ?? '')![1] as 'liveness' | 'startup');
}

/** Whether an event belongs to the instance that ran from `startedAt` to `finishedAt` (undefined: still runs). */
function happenedIn(event: Event, startedAt: number | undefined, finishedAt: number | undefined): boolean {
  const at = eventTime(event);
  if (at === undefined) return finishedAt !== undefined;
  // Times are cut to whole seconds.
  if (finishedAt === undefined) return startedAt !== undefined && at > startedAt;
  return at >= (startedAt ?? 0) && at <= finishedAt + 2000;
}

function probeFacts(facts: ContainerFacts, type: 'liveness' | 'readiness' | 'startup'): string[] {
  const record = facts.probes.find((p) => p.type === type);
  return record ? probeEvidence(record, facts.now) : unhealthyEvents(facts, type);
}

/** What the events say of a probe's failures, newest first; for when its results cannot be asked for any more. */
function unhealthyEvents(facts: ContainerFacts, type: string): string[] {
  const prefix = `${type[0]!.toUpperCase()}${type.slice(1)} probe`;
  const about = facts.events.filter((e) => e.reason === 'Unhealthy' && e.message?.startsWith(prefix));
  about.sort((a, b) => (eventTime(b) ?? 0) - (eventTime(a) ?? 0));
  return about.slice(0, 3).map((e) => {
    const at = eventTime(e);
    const times = (e.series?.count ?? e.count ?? 1) > 1 ? `${e.series?.count ?? e.count} times` : '';
    const when = at === undefined ? '' : `last ${humanDuration(facts.now - at)} ago`;
    const note = [times, when].filter(Boolean).join(', ');
    return `${plainText(e.message ?? '')}${note === '' ? '' : ` (${note})`}`;
  });
}

/** Evidence that a probe's own machinery fails, which says nothing about the container; undefined when it works. */
function brokenProbe(facts: ContainerFacts, type: 'readiness' | 'startup'): string[] | undefined {
  const record = facts.probes.find((p) => p.type === type);
  if (record) return record.results[0]?.outcome === 'unknown' ? probeEvidence(record, facts.now) : undefined;
  const event = newest(
    facts.events,
    (e) => e.reason === 'Unhealthy' && new RegExp(`${type} probe`, 'i').test(e.message ?? ''),
  );
  return event?.message?.includes('errored and resulted in unknown state') ? [plainText(event.message)] : undefined;
}

/** For a probe that cannot be made. */
function probeAdvice({ container }: ContainerFacts, type: 'readiness' | 'startup'): string {
  const probe = container[`${type}Probe`];
  const port = (probe?.httpGet ?? probe?.tcpSocket)?.port;
  const isName = typeof port === 'string' && !/^\d+$/.test(port);
  return isName && !container.ports?.some((p) => p.name === port)
    ? `no port of ${container.name} has the name ${port}: name one in its ports, or give the number`
    : `correct the ${type}Probe`;
}

function restartPolicyOf({ pod, container }: ContainerFacts): string {
  if (container.restartPolicy) return container.restartPolicy;
  const policy = pod.spec?.restartPolicy ?? 'Always';
  // An init container is not restarted once it succeeded, whatever the pod says.
  return policy === 'Always' && pod.spec?.initContainers?.includes(container) ? 'OnFailure' : policy;
}

function tried(status: ContainerStatus | undefined): string {
  const n = status?.restartCount ?? 0;
  return n === 0 ? '' : ` (${count(n + 1, 'attempt')})`;
}

/** Pulls back off from 10 s, doubling, to 5 min. The server does not say how long; the count of failures does. */
function nextPull(failed: Event | undefined, now: number): string {
  const at = failed && eventTime(failed);
  if (at === undefined) return '';
  const left = at + Math.min(10 * 2 ** ((failed?.count ?? 1) - 1), 300) * 1000 - now;
  return left > 0 ? `; next try in about ${timeLeft(left)}` : '; next try any moment';
}

/** For whatever failed for want of disk. */
export function diskAdvice(message: string): string | undefined {
  return /no space left on device|disk quota exceeded/i.test(message)
    ? 'the disk is full: df -h shows which; with some of it free again the agent goes on by itself'
    : undefined;
}

function pullAdvice(text: string): string {
  const disk = diskAdvice(text);
  if (disk) return disk;
  if (/not found|manifest unknown|does not exist/.test(text) && !/no such host/.test(text))
    return 'check the name and tag of the image';
  if (/unauthorized|denied|forbidden|401|403/i.test(text))
    return 'the registry wants credentials, or the image does not exist';
  return 'check that the registry can be reached; kubelette up --registry-mirror URL pulls from another one';
}

function configAdvice(message: string): string {
  const missing = /(configmap|secret) "([^"]+)" not found/.exec(message);
  if (missing) return `create the ${missing[1]} ${missing[2]}; the container then starts by itself`;
  const key = /couldn't find key (\S+) in (ConfigMap|Secret) (\S+)/.exec(message);
  if (key)
    return `add the key ${key[1]} to the ${key[2]!.toLowerCase()} ${key[3]}; the container then starts by itself`;
  if (/runAsNonRoot/.test(message)) {
    return 'set securityContext.runAsUser to the number of a user other than 0, or use an image that has one';
  }
  return 'correct what the message names; the container then starts by itself';
}

function startAdvice(message: string, name: string): string {
  const disk = diskAdvice(message);
  if (disk) return disk;
  if (/no such file or directory|executable file not found/.test(message)) {
    return `the command of ${name} is not in its image: correct \`command\`, or use another image`;
  }
  if (/permission denied/.test(message)) return `the command of ${name} is not executable by its user`;
  return 'correct what the message names';
}
