import type { Checker } from '../checker.ts';
import type { ContainerRef } from '../fact.ts';

/** A container of a pod runs at most once at a time, and all of a pod's containers run in one sandbox. */
export function singleInstance(): Checker {
  const running = new Map<string, ContainerRef>();
  return {
    name: 'single-instance',
    on(fact, report) {
      if (fact.what === 'containerExited') running.delete(fact.containerId);
      if (fact.what !== 'containerStarted') return;
      for (const other of running.values()) {
        if (other.podUID !== fact.podUID) continue;
        const name = `${fact.pod}/${fact.container}`;
        if (other.container === fact.container) report(`${name} is started while ${other.containerId} still runs`);
        else if (other.sandboxId !== fact.sandboxId) {
          report(`${name} is started while ${other.container} still runs in another sandbox of the pod`);
        }
      }
      running.set(fact.containerId, fact);
    },
  };
}
