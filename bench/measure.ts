/** Median and spread of one measurement. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Of milliseconds, or of whatever the samples are. Needs at least one. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, runs: sorted.length };
}

/** Runs both by turns, so that what disturbs the machine disturbs both. Each returns one sample per call. */
export async function byTurns(
  runs: number,
  floor: () => Promise<number>,
  ours: () => Promise<number>,
): Promise<{ floor: Summary; ours: Summary }> {
  const samples = { floor: [] as number[], ours: [] as number[] };
  // The first round warms caches and counts for nothing.
  for (let i = -1; i < runs; i++) {
    const [f, o] = [await floor(), await ours()];
    if (i < 0) continue;
    samples.floor.push(f);
    samples.ours.push(o);
  }
  return { floor: summarize(samples.floor), ours: summarize(samples.ours) };
}
