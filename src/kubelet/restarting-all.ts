import type { PodStatus } from '../api/generated/types.ts';

/**
 * What a status says of containers that are removed because the end of one demands that all start anew (action RestartAllContainers of
 * restartPolicyRules), to the word. It is all that tells them from containers that have ended for good once the runtime has neither.
 * Source: upstream `pkg/kubelet/status/generate.go`, `kubelet_pods.go`.
 */
export const RESTARTING_ALL = 'RestartingAllContainers';
export const RESTARTING_ALL_MESSAGE = 'The container is removed because RestartAllContainers in place';

/** The condition of a pod in which that is under way. */
export const ALL_RESTARTING_CONDITION = 'AllContainersRestarting';

/** Whether a status shows that it is under way. */
export function isRestartingAll(status: PodStatus | undefined): boolean {
  return status?.conditions?.some((c) => c.type === ALL_RESTARTING_CONDITION && c.status === 'True') ?? false;
}
