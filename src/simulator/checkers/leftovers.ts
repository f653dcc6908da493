import type { Checker } from '../checker.ts';

/** So long a call of an agent that died may still be under way, unknown to the next one. */
const UNKNOWN_CALL_MS = 200;

/** A deleted pod leaves nothing: its object goes last, and whoever was deleted with force is cleaned up after. */
export function leftovers(): Checker {
  /** Sandbox and container ids by pod UID. */
  const things = new Map<string, Map<string, string>>();
  /** When users last deleted each pod. */
  const askedAt = new Map<string, number>();
  const unknown = new Set<string>();
  let agentStartedAt = 0;
  const of = (podUID: string): Map<string, string> => {
    const found = things.get(podUID) ?? new Map<string, string>();
    things.set(podUID, found);
    return found;
  };
  return {
    name: 'leftovers',
    on(fact, report) {
      switch (fact.what) {
        case 'agentStarted':
          agentStartedAt = fact.atMs;
          return;
        case 'sandboxStarted':
          // By a call of an agent that died meanwhile: it is found, and removed, a little later.
          if (fact.atMs < agentStartedAt + UNKNOWN_CALL_MS) unknown.add(fact.podUID);
          of(fact.podUID).set(fact.sandboxId, `sandbox ${fact.sandboxId}`);
          return;
        case 'sandboxRemoved':
          of(fact.podUID).delete(fact.sandboxId);
          return;
        case 'containerCreated':
          of(fact.podUID).set(fact.containerId, `container ${fact.containerId}`);
          return;
        case 'containerRemoved':
          of(fact.podUID).delete(fact.containerId);
          return;
        case 'deletionAsked':
          askedAt.set(fact.podUID, fact.atMs);
          return;
        case 'written': {
          if (fact.collection !== 'pods' || !fact.removed) return;
          const uid = fact.object.metadata.uid!;
          // By a user with force, or of a pod that has finished or has no node: the API server waits for no kubelet.
          // Or it had been removed, and a power cut took that back.
          if (askedAt.get(uid) === fact.atMs || agentStartedAt + UNKNOWN_CALL_MS > fact.atMs || unknown.has(uid))
            return;
          const left = [...of(uid).values()];
          if (left.length > 0) report(`pod ${fact.key} goes while the runtime has its ${left.join(', ')}`);
        }
      }
    },
    end(report, world) {
      for (const [uid, left] of things) {
        if (left.size > 0 && !world.pods.has(uid))
          report(`${[...left.values()].join(', ')} of deleted pod ${uid} stay`);
      }
      for (const { host } of world.nodes) {
        for (const [kind, uids] of Object.entries(host)) {
          for (const uid of uids) if (!world.pods.has(uid)) report(`${kind} of deleted pod ${uid} stay on the host`);
        }
      }
    },
  };
}
