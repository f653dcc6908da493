import type { Container, ContainerStatus, Pod } from '../../api/generated/types.ts';
import type { Checker, Report } from '../checker.ts';
import type { ContainerRef } from '../fact.ts';
import type { ContainerScript } from '../scenario.ts';
import type { WorldView } from '../simulate.ts';

const SIGKILLED = 137;
/** The longest that anything waits for its next try: the back-off's ceiling, and what a start takes. */
const LONGEST_WAIT_MS = 330_000;

/** Once faults have stopped, every pod reaches the state that its containers allow, and its status says so. */
export function eventually(): Checker {
  const activeAt = new Map<string, number>();
  const exits = new Map<string, number>();
  const signalled = new Set<string>();
  const deletedAt = new Map<string, number>();
  return {
    name: 'eventually',
    on(fact) {
      if ('podUID' in fact && fact.what !== 'probed' && 'sandboxId' in fact) activeAt.set(fact.podUID, fact.atMs);
      if (fact.what === 'containerSignalled') signalled.add(fact.containerId);
      if (fact.what === 'containerExited') {
        // What was told to end, by a probe say, is to be replaced however it ends.
        const exitCode = signalled.has(fact.containerId) ? SIGKILLED : fact.exitCode;
        exits.set(`${fact.podUID}/${fact.container}`, exitCode);
      }
      if (fact.what === 'containerNotStarted') exits.set(`${fact.podUID}/${fact.container}`, 128);
      if (fact.what === 'written' && fact.collection === 'pods') {
        const { uid = '', deletionTimestamp } = fact.object.metadata;
        if (deletionTimestamp && !deletedAt.has(uid)) deletedAt.set(uid, fact.atMs);
      }
    },
    end(report, world) {
      for (const [uid, pod] of world.pods) {
        const sinceMs = world.nowMs - (activeAt.get(uid) ?? 0);
        checkPod(pod, sinceMs, (c) => exits.get(`${uid}/${c.name}`), world, report);
      }
    },
  };
}

function checkPod(
  pod: Pod,
  idleMs: number,
  exitOf: (container: Container) => number | undefined,
  world: WorldView,
  report: Report,
): void {
  const { name } = pod.metadata;
  const phase = pod.status?.phase ?? '(none)';
  const running = world.nodes.flatMap((n) => n.runningContainers()).filter((c) => c.podUID === pod.metadata.uid);
  if (pod.metadata.deletionTimestamp) {
    report(`pod ${name} is still there, deleted long ago`);
    return;
  }
  if (!pod.spec.nodeName) {
    report(`pod ${name} was never given a node`);
    return;
  }
  if (phase === 'Succeeded' || phase === 'Failed') {
    if (running.length > 0) report(`pod ${name} is ${phase}, but ${running.map((c) => c.container).join(', ')} runs`);
    return;
  }
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const shown = [...initContainerStatuses, ...containerStatuses];
  for (const c of running) checkRunning(pod, c, shown, world, report);
  for (const s of shown) {
    if (s.state?.running && !running.some((c) => c.container === s.name)) {
      report(`${name}/${s.name} is shown as running, but does not run`);
    }
  }
  const isRunning = (c: Container): boolean => running.some((r) => r.container === c.name);
  const stopped = pod.spec.containers.filter((c) => !isRunning(c));
  if (stopped.length === 0) return;
  if (stopped.length === pod.spec.containers.length && stopped.every((c) => isOver(pod, c, exitOf(c)))) {
    report(`pod ${name} is over, but its phase is ${phase}`);
    return;
  }
  if (stopped.every((c) => isOver(pod, c, exitOf(c)))) return;
  const plainInit = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy !== 'Always');
  const waitsForImage = shown.some((s) => /Image/.test(s.state?.waiting?.reason ?? ''));
  if (plainInit.some(isRunning) || waitsForImage || idleMs < LONGEST_WAIT_MS) return;
  // A sidecar that never gets up holds back everything after it.
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always' && isRunning(c));
  if (sidecars.some((c) => c.startupProbe && !shown.find((s) => s.name === c.name)?.started)) return;
  const missing = stopped.map((c) => c.name).join(', ');
  report(`${name}: ${missing} does not run, and nothing has been done about it for ${Math.round(idleMs / 1000)} s`);
}

function isOver({ spec }: Pod, container: Container, exitCode: number | undefined): boolean {
  if (exitCode === undefined) return false;
  // Both actions of a rule start it again.
  if (container.restartPolicyRules?.some(({ exitCodes }) => exitCodes?.values?.includes(exitCode))) return false;
  const policy = container.restartPolicy ?? spec.restartPolicy;
  return policy === 'Never' || (policy === 'OnFailure' && exitCode === 0);
}

function checkRunning(
  pod: Pod,
  ref: ContainerRef,
  shown: readonly ContainerStatus[],
  world: WorldView,
  report: Report,
): void {
  const name = `${ref.pod}/${ref.container}`;
  const status = shown.find((s) => s.name === ref.container);
  const found = world.nodes.map((n) => n.script(ref.containerId)).find((s) => s !== undefined)!;
  const ageMs = world.nowMs - found.startedAt;
  // What started just now may not be told yet.
  if (ageMs < 5000) return;
  if (!status?.state?.running) {
    report(`${name} runs, but is not shown as running`);
    return;
  }
  if (!status.containerID?.endsWith(`//${ref.containerId}`)) {
    report(`${name} is shown with another's id`);
    return;
  }
  const spec = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((c) => c.name === ref.container);
  if (!spec || !isWell(found.script, spec)) return;
  const isPlainInit = pod.spec.initContainers?.some((c) => c.name === ref.container && c.restartPolicy !== 'Always');
  if (!isPlainInit && ageMs > LONGEST_WAIT_MS && !status.ready) report(`${name} is well, but not shown as ready`);
}

/** Whether its probes have succeeded for long. */
function isWell({ health = [], answerMs = 0 }: ContainerScript, spec: Container): boolean {
  const probes = [spec.startupProbe, spec.livenessProbe, spec.readinessProbe].filter((p) => p !== undefined);
  if (probes.some((p) => answerMs >= (p.timeoutSeconds ?? 1) * 1000)) return false;
  return health.every((w) => w.toMs !== undefined && (w.probe === undefined || spec[`${w.probe}Probe`] !== undefined));
}
