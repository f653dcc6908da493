import { setTimeout as delay } from 'node:timers/promises';
import { PODS } from '../../src/api/resources.ts';
import type { ProbeRecord } from '../../src/kubelet/ports.ts';
import type { Kubelette } from '../contenders/kubelette.ts';

interface Timing {
  /** Of each check that was made, ms after its instant of the grid. */
  readonly lateness: readonly number[];
  /** Of all instants of the grid, how many were left out or brought no success. */
  readonly missed: number;
}

/** Between two attempts to read a probe while none of its checks is under way. */
const READ_AGAIN_MS = 20;

/**
 * How the checks of all pods were timed during the last seconds (20 at most), as the agent remembers them: each probe's grid is known
 * from when its next check is due. Times are whole milliseconds.
 */
export async function probeTiming(node: Kubelette, seconds: number): Promise<Timing> {
  const { items } = await node.client().list(PODS, { namespace: 'default' });
  const lateness: number[] = [];
  let missed = 0;
  for (const { metadata } of items) {
    for (const { probe, nextAt, results } of await restingProbes(node, metadata.name!)) {
      const periodMs = probe.periodSeconds! * 1000;
      const begin = results[0]!.at - seconds * 1000;
      const checks = results.filter(({ at }) => at > begin);
      lateness.push(...checks.map(({ at }) => latenessOf(at, nextAt!, periodMs)));
      missed += checks.filter(({ outcome }) => outcome !== 'success').length;
      for (const [i, { at }] of checks.entries()) {
        const before = checks[i + 1];
        if (before) missed += Math.round((at - before.at) / periodMs) - 1;
      }
    }
  }
  return { lateness, missed };
}

/** Milliseconds after the instant of the grid; a hair before it, which is rounding, counts as none. */
function latenessOf(at: number, onGrid: number, periodMs: number): number {
  const after = (((at - onGrid) % periodMs) + periodMs) % periodMs;
  return after > periodMs - 2 ? 0 : after;
}

/** A pod's probes at a moment when each waits for its next check. */
async function restingProbes(node: Kubelette, pod: string): Promise<ProbeRecord[]> {
  for (;;) {
    const records = await node.probes(pod);
    if (records.every((record) => record.nextAt !== undefined && record.results.length > 0)) return records;
    await delay(READ_AGAIN_MS);
  }
}
