import type { Checker } from '../checker.ts';

/** A watcher is told of every change of every pod, once, in order, over any number of broken connections. */
export function watchStreams(): Checker {
  /** Revisions of changes of pods, with what happened. */
  let changes: { readonly revision: number; readonly type: string; readonly key: string }[] = [];
  let next = 0;
  /** What a watcher knows after a power cut may never have been. */
  let isLost = true;
  return {
    name: 'watch-streams',
    on(fact, report) {
      if (fact.what === 'powerCut') {
        const from = fact.lost[0] ?? Number.POSITIVE_INFINITY;
        changes = changes.filter((c) => c.revision < from);
        isLost = true;
      }
      if (fact.what === 'written' && fact.collection === 'pods') {
        const type = fact.removed ? 'DELETED' : fact.before ? 'MODIFIED' : 'ADDED';
        changes.push({ revision: fact.revision, type, key: fact.key });
      }
      if (fact.what !== 'watched') return;
      if (fact.type === 'listed') {
        next = changes.findIndex((c) => c.revision > fact.revision);
        if (next < 0) next = changes.length;
        isLost = false;
        return;
      }
      if (isLost) return;
      const due = changes[next];
      if (due?.revision !== fact.revision || due.type !== fact.type || due.key !== fact.key) {
        const [wanted, got] = [due, fact].map((c) => (c ? `${c.type} ${c.key} at ${c.revision}` : 'nothing'));
        report(`a watcher is told ${got}; due was ${wanted}`);
        isLost = true;
      }
      next++;
    },
    end(report) {
      const missed = isLost ? 0 : changes.length - next;
      if (missed > 0) report(`a watcher was never told of ${missed} changes`);
    },
  };
}
