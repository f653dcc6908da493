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

/** Timers of Node and libuv are early by a fraction of a millisecond each, and so is a time as it is written. */
const ROUNDED_MS = 4;
/** Between two attempts to see those probes at rest that had a check under way before. */
const READ_AGAIN_MS = 20;
const MOST_READS = 200;

/**
 * How the checks of all pods were timed during the last seconds (20 at most), as the agent remembers them: each probe's grid is known
 * from when its next check is due. Times are whole milliseconds.
 */
export async function probeTiming(node: Kubelette, seconds: number): Promise<Timing> {
  const { items } = await node.client().list(PODS, { namespace: 'default' });
  // To answer what is asked below takes the agent's time, too: checks made meanwhile are not looked at.
  const end = Date.now();
  const lateness: number[] = [];
  let missed = 0;
  for (const { metadata } of items) {
    const records = await node.probes(metadata.name!);
    const grids = await gridsOf(records, () => node.probes(metadata.name!));
    for (const { probe, results, ...record } of records) {
      const periodMs = probe.periodSeconds! * 1000;
      const onGrid = grids.get(keyOf(record))!;
      const checks = results.filter(({ at }) => at <= end && at > end - seconds * 1000);
      lateness.push(...checks.map(({ at }) => latenessOf(at, onGrid, periodMs)));
      missed += checks.filter(({ outcome }) => outcome !== 'success').length;
      for (const [i, { at }] of checks.entries()) {
        const before = checks[i + 1];
        if (before) missed += Math.round((at - before.at) / periodMs) - 1;
      }
    }
  }
  return { lateness, missed };
}

/** Milliseconds after the instant of the grid; a hair before it counts as none: timers and times are rounded down to milliseconds. */
function latenessOf(at: number, onGrid: number, periodMs: number): number {
  const after = (((at - onGrid) % periodMs) + periodMs) % periodMs;
  return after > periodMs - ROUNDED_MS ? 0 : after;
}

const keyOf = ({ containerId, type }: Pick<ProbeRecord, 'containerId' | 'type'>): string => `${containerId} ${type}`;

/**
 * Of each probe an instant of its grid: when its next check is due, which is not known while one is under way.
 * @param again reads the same probes anew
 */
export async function gridsOf(
  records: readonly ProbeRecord[],
  again: () => Promise<readonly ProbeRecord[]>,
): Promise<Map<string, number>> {
  const grids = new Map<string, number>();
  let seen = records;
  for (let reads = 1; ; reads++) {
    for (const record of seen) if (record.nextAt !== undefined) grids.set(keyOf(record), record.nextAt);
    if (records.every((record) => grids.has(keyOf(record)))) return grids;
    if (reads === MOST_READS) {
      const { container, type, results } = records.find((record) => !grids.has(keyOf(record)))!;
      const last = results[0]
        ? `${results[0].outcome} at ${new Date(results[0].at).toISOString()}: ${results[0].output}`
        : 'none';
      throw new Error(`the ${type} probe of ${container} never waits for its next check; last result: ${last}`);
    }
    await delay(READ_AGAIN_MS);
    seen = await again();
  }
}
