import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';

/**
 * The dead instances that nobody needs: all but the newest of each container, which `logs --previous` and `lastState` show. What
 * is only created, or of which nobody knows the state, is not ours to judge. Pure.
 */
export function selectVictims(status: PodRuntimeStatus): ContainerRuntimeStatus[] {
  const kept = new Set<string>();
  return status.containers
    .filter((container) => container.state === 'exited')
    .toSorted((a, b) => b.restartCount - a.restartCount || b.createdAt - a.createdAt)
    .filter((container) => {
      if (kept.has(container.name)) return true;
      kept.add(container.name);
      return false;
    });
}
