import type { Container, ContainerStateTerminated, ContainerStatus, Pod } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { RESTARTING_ALL } from '../restarting-all.ts';
import { decideOnExit } from '../sync/restart-policy.ts';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/**
 * The phase that the containers' statuses amount to. Pure. Source: upstream `kubelet_pods.go` getPhase.
 * @param ended nothing of the pod runs and nothing will be started any more
 */
export function podPhase(pod: Pod, statuses: ReadonlyMap<string, ContainerStatus>, ended: boolean): PodPhase {
  let initPending = false;
  let initFailed = false;
  let sidecarPending = false;
  let running = 0;
  let waiting = 0;
  for (const c of pod.spec.initContainers ?? []) {
    const status = statuses.get(c.name);
    const state = status?.state;
    const last = status?.lastState?.terminated;
    if (isSidecar(c)) {
      if (state?.running) {
        running++;
        if (!status?.started) sidecarPending = true;
      } else if (!state?.terminated && !last) {
        waiting++;
        sidecarPending = true;
      }
    } else if (state?.terminated) {
      initFailed ||= hasFailed(pod, c, state.terminated);
    } else if (state?.waiting && last) {
      initFailed ||= hasFailed(pod, c, last);
    } else {
      initPending = true;
    }
  }

  let stopped = 0;
  let succeeded = 0;
  let initialized = false;
  for (const c of pod.spec.containers) {
    const status = statuses.get(c.name);
    const state = status?.state;
    if (state?.running) {
      running++;
      initialized = true;
    } else if (state?.terminated) {
      stopped++;
      initialized = true;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (status?.lastState?.terminated) stopped++;
    else waiting++;
  }

  if (initFailed) return 'Failed';
  if (initPending || (sidecarPending && !initialized) || waiting > 0) return 'Pending';
  if (running > 0) return 'Running';
  if (stopped === 0) return 'Pending';
  if (ended) return stopped === succeeded ? 'Succeeded' : 'Failed';
  const stays = pod.spec.containers.every((c) => {
    const end = statuses.get(c.name)?.state?.terminated;
    return end && decideOnExit(pod, c, end.exitCode) === 'stay';
  });
  if (!stays) return 'Running';
  return stopped === succeeded ? 'Succeeded' : 'Failed';
}

/** Whether an init container has ended for good and not well. */
function hasFailed(pod: Pod, container: Container, { exitCode, reason }: ContainerStateTerminated): boolean {
  return exitCode !== 0 && reason !== RESTARTING_ALL && decideOnExit(pod, container, exitCode) === 'stay';
}
