import type { Checker } from '../checker.ts';

interface Kept {
  readonly id: string;
  readonly revision: number;
  /** What was there before; undefined: nothing. */
  readonly before: number | undefined;
  readonly removed: boolean;
}

/**
 * What was acknowledged is there after every start: all of it when our process died, all but the newest writes when the power was
 * cut; and nothing is there that was not written.
 */
export function acknowledgedWrites(): Checker {
  const state = new Map<string, number>();
  const log: Kept[] = [];
  return {
    name: 'acknowledged-writes',
    on(fact, report) {
      switch (fact.what) {
        case 'written': {
          const id = `${fact.collection} ${fact.key}`;
          log.push({ id, revision: fact.revision, before: state.get(id), removed: fact.removed });
          if (log.length > 100) log.shift();
          if (fact.removed) state.delete(id);
          else state.set(id, fact.revision);
          return;
        }
        case 'acknowledged': {
          const id = `${fact.collection} ${fact.key}`;
          const revision = state.get(id);
          const isWritten =
            (revision ?? 0) >= fact.revision || log.some((w) => w.id === id && w.revision >= fact.revision);
          if (!isWritten) report(`revision ${fact.revision} of ${id} was acknowledged, but never written`);
          return;
        }
        case 'powerCut':
          for (const revision of [...fact.lost].reverse()) {
            const undone = log.pop();
            if (undone?.revision !== revision) report(`the power cut takes back revision ${revision} out of order`);
            else if (undone.before === undefined) state.delete(undone.id);
            else state.set(undone.id, undone.before);
          }
          return;
        case 'loaded':
          for (const [id, revision] of state) {
            const found = fact.objects.get(id)?.metadata.resourceVersion;
            if (found !== String(revision)) {
              report(
                `${id} was acknowledged at revision ${revision}, and after a start is ${found ? `at ${found}` : 'gone'}`,
              );
            }
          }
          for (const id of fact.objects.keys())
            if (!state.has(id)) report(`${id} is there after a start, but was removed`);
      }
    },
  };
}
