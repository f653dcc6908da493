import type { ContainerStatus, Pod } from '../../api/generated/types.ts';
import type { Checker } from '../checker.ts';

/** Restart counts never fall: neither those that the API shows, nor the attempts that the runtime is given. */
export function restartCounts(): Checker {
  const attempts = new Map<string, number>();
  /** Attempts that came to nothing, and of which nobody has been told yet, by container id. */
  const failed = new Map<string, { readonly key: string; readonly attempt: number }>();
  return {
    name: 'restart-counts',
    on(fact, report) {
      if (fact.what === 'written' && fact.collection === 'pods' && fact.before) {
        const before = new Map(statusesOf(fact.before as Pod).map((s) => [s.name, s.restartCount]));
        for (const { name, restartCount, state, lastState } of statusesOf(fact.object as Pod)) {
          const end = state?.terminated ?? lastState?.terminated;
          const told = failed.get(end?.containerID?.replace(/^.*:\/\//, '') ?? '');
          if (told) attempts.set(told.key, Math.max(told.attempt, attempts.get(told.key) ?? -1));
          const old = before.get(name) ?? 0;
          if (restartCount < old) report(`restartCount of ${fact.key}/${name} falls from ${old} to ${restartCount}`);
        }
      }
      // A pod may be back from the dead, with nothing left to tell of its first life.
      if (fact.what === 'powerCut' && fact.lost.length > 0) attempts.clear();
      if (fact.what !== 'containerStarted' && fact.what !== 'containerNotStarted') return;
      const key = `${fact.podUID}/${fact.container}`;
      const last = attempts.get(key) ?? -1;
      if (fact.attempt <= last) {
        report(`${fact.pod}/${fact.container} is started as attempt ${fact.attempt} after attempt ${last}`);
      }
      // One that never ran may be tried again as if it had not been, as long as it was not shown.
      if (fact.what === 'containerNotStarted') failed.set(fact.containerId, { key, attempt: fact.attempt });
      else attempts.set(key, fact.attempt);
    },
  };
}

function statusesOf({ status }: Pod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}
