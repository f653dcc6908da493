import type { Checker } from '../checker.ts';
import type { Fact } from '../fact.ts';
import { followBeginnings } from './begins-anew.ts';

const FIRST_MS = 10_000;
const MAX_MS = 300_000;
/** Runs longer than this are forgiven. */
const FORGIVEN_MS = 600_000;
/** Of a probe: what answers later may be too late. */
const SHORTEST_TIMEOUT_MS = 1000;
/** Wall times are whole seconds in places, and an adopted container's end is known to the second. */
const SLACK_MS = 1100;

interface Instance {
  startedAt: number;
  exitedAt: number | undefined;
  /** How many crashes in a row came before this start. */
  readonly crashes: number;
  readonly id: string;
  /** We had asked it to stop, or a probe had failed, so that we wanted to: that back-off is another. */
  killed: boolean;
  /** It ended of itself. */
  crashed: boolean;
}

/** A container that keeps crashing is restarted no sooner than its back-off allows: at once, after 10 s, 20 s, ... 5 min. */
export function backOff(): Checker {
  const instances = new Map<string, Instance>();
  const beginning = followBeginnings();
  return {
    name: 'back-off',
    on(fact, report) {
      // Whose sandbox was lost begins anew.
      const anew = fact.what === 'sandboxStarted' ? fact : beginning(fact);
      if (anew) for (const key of instances.keys()) if (key.startsWith(`${anew.podUID}/`)) instances.delete(key);
      // Of an exit that nobody saw, only the wall time is known.
      if (fact.what === 'wallJumped') instances.clear();
      if (fact.what === 'probed' && fact.probe !== 'readiness' && mayHaveFailed(fact)) {
        const probed = instances.get(`${fact.podUID}/${fact.container}`);
        if (probed?.id === fact.containerId) Object.assign(probed, { killed: true, crashed: false });
      }
      const isOurs = ['containerStarted', 'containerExited', 'containerSignalled'].includes(fact.what);
      if (!isOurs || !('containerId' in fact)) return;
      const key = `${fact.podUID}/${fact.container}`;
      const last = instances.get(key);
      if (fact.what === 'containerSignalled') {
        if (last) last.killed = true;
        return;
      }
      if (fact.what === 'containerExited') {
        if (!last) return;
        last.exitedAt = fact.atMs;
        last.crashed = fact.by === 'itself' && !last.killed && fact.atMs - last.startedAt < FORGIVEN_MS;
        return;
      }
      const crashes = last?.crashed ? last.crashes + 1 : 0;
      instances.set(key, {
        startedAt: fact.atMs,
        exitedAt: undefined,
        crashes,
        id: fact.containerId,
        killed: false,
        crashed: false,
      });
      if (crashes < 2) return;
      const wantedMs = Math.min(MAX_MS, FIRST_MS * 2 ** (crashes - 2));
      const waitedMs = fact.atMs - last!.exitedAt!;
      if (waitedMs >= wantedMs - SLACK_MS) return;
      report(
        `${fact.pod}/${fact.container} is restarted ${waitedMs} ms after crash ${crashes} in a row, not ${wantedMs} ms after it`,
      );
    },
  };
}

function mayHaveFailed({ outcome, afterMs = 0 }: Extract<Fact, { what: 'probed' }>): boolean {
  return outcome !== 'success' || afterMs >= SHORTEST_TIMEOUT_MS;
}
