import type { ContainerStatus, Pod } from './generated/types.ts';
import { humanDuration } from './human-duration.ts';
import { isSidecar } from './pod-resources.ts';
import { parseTime } from './time.ts';

/** One line of `kubectl get pods`, its `-o wide` columns included. */
export interface PodRow {
  readonly name: string;
  /** `1/2`: ready containers of all that stay (app containers and sidecars). */
  readonly ready: string;
  /** `Running`, `Init:0/2`, `CrashLoopBackOff`, `Terminating`, ... */
  readonly status: string;
  /** `3`, or `3 (12s ago)`. */
  readonly restarts: string;
  readonly age: string;
  readonly ip: string;
  readonly node: string;
  readonly nominatedNode: string;
  readonly readinessGates: string;
}

/**
 * What `kubectl get pods` shows of a pod.
 * @param now wall time, ms since the epoch. Source: pkg/printers/internalversion printPod
 */
export function podRow(pod: Pod, now: number): PodRow {
  const spec = pod.spec;
  const status = pod.status ?? {};
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map((c) => c.name));
  const init = initProgress(pod, sidecars);

  let reason: string = status.reason || status.phase || '';
  if (status.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) {
    reason = 'SchedulingGated';
  }
  let ready = init.readySidecars;
  let restarts = init.restarts;
  if (init.reason !== undefined) reason = init.reason;
  if (init.reason === undefined || isTrue(pod, 'Initialized')) {
    restarts = new RestartCount();
    for (const c of init.seen) if (sidecars.has(c.name)) restarts.add(c);
    let hasRunning = false;
    // From the last to the first, so that the first container's trouble is what shows.
    for (const c of (status.containerStatuses ?? []).toReversed()) {
      restarts.add(c);
      if (c.state?.waiting?.reason) reason = c.state.waiting.reason;
      else if (c.state?.terminated) reason = terminatedWord(c);
      else if (c.ready && c.state?.running) {
        hasRunning = true;
        ready++;
      }
    }
    if (reason === 'Completed' && hasRunning) reason = isTrue(pod, 'Ready') ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp) {
    if (status.reason === 'NodeLost') reason = 'Unknown';
    else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') reason = 'Terminating';
  }

  const gates = spec.readinessGates ?? [];
  const created = parseTime(pod.metadata.creationTimestamp);
  return {
    name: pod.metadata.name ?? '',
    ready: `${ready}/${spec.containers.length + sidecars.size}`,
    status: reason,
    restarts: restarts.text(now),
    age: created === undefined ? '<unknown>' : humanDuration(now - created),
    ip: status.podIPs?.[0]?.ip || status.podIP || '<none>',
    node: spec.nodeName || '<none>',
    nominatedNode: status.nominatedNodeName || '<none>',
    readinessGates:
      gates.length === 0 ? '<none>' : `${gates.filter((g) => isTrue(pod, g.conditionType)).length}/${gates.length}`,
  };
}

/** How far the init containers are; `reason` is what STATUS says while they are not done. */
function initProgress(pod: Pod, sidecars: ReadonlySet<string>) {
  const total = pod.spec.initContainers?.length ?? 0;
  const restarts = new RestartCount();
  const seen: ContainerStatus[] = [];
  let readySidecars = 0;
  for (const [i, c] of (pod.status?.initContainerStatuses ?? []).entries()) {
    restarts.add(c);
    seen.push(c);
    const terminated = c.state?.terminated;
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(c.name) && c.started) {
      if (c.ready) readySidecars++;
      continue;
    }
    const waiting = c.state?.waiting?.reason;
    let reason = `Init:${i}/${total}`;
    if (terminated) reason = `Init:${terminatedWord(c)}`;
    else if (waiting && waiting !== 'PodInitializing') reason = `Init:${waiting}`;
    return { reason, restarts, readySidecars, seen };
  }
  return { reason: undefined, restarts, readySidecars, seen };
}

/** Restarts, and when the last one's predecessor ended. */
class RestartCount {
  private count = 0;
  private last: number | undefined;

  add(status: ContainerStatus): void {
    this.count += status.restartCount;
    const finished = parseTime(status.lastState?.terminated?.finishedAt);
    if (finished !== undefined && finished > (this.last ?? 0)) this.last = finished;
  }

  text(now: number): string {
    return this.count !== 0 && this.last !== undefined
      ? `${this.count} (${humanDuration(now - this.last)} ago)`
      : String(this.count);
  }
}

function terminatedWord(status: ContainerStatus): string {
  const terminated = status.state!.terminated!;
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function isTrue(pod: Pod, condition: string): boolean {
  return pod.status?.conditions?.some((c) => c.type === condition && c.status === 'True') ?? false;
}
