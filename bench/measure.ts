import { setTimeout as delay } from 'node:timers/promises';

/** Median and spread of one measurement, and the samples it was made from. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** Of milliseconds, or of whatever the samples are. Needs at least one. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples };
}

/** The sample that a share `q` (0 to 1) of all do not exceed. Needs at least one. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

/** Somebody's polls come every second: a random wait before each sample hits them at any phase. */
const PHASES_MS = 1000;

export const randomPhase = (): Promise<void> => delay(Math.random() * PHASES_MS);

/**
 * Asks all for a sample by turns, so that what disturbs the machine disturbs everybody, at random phases. Each round begins with
 * another one: what somebody still cleans up must not always fall on the same one after it. Who fails is asked no more: its result is
 * the error.
 * @param warmUps rounds before, in which everybody is asked once and which count for nothing
 * @param turns who is asked in each of the others, in this order; some may come more than once
 */
export async function byTurns<Who>(
  rounds: number,
  warmUps: number,
  samplers: ReadonlyMap<Who, () => Promise<number>>,
  turns: readonly Who[] = [...samplers.keys()],
): Promise<Map<Who, Summary | Error>> {
  const samples = new Map<Who, number[]>([...samplers.keys()].map((who) => [who, []]));
  const failures = new Map<Who, Error>();
  for (let i = -warmUps; i < rounds; i++) {
    const first = i % turns.length;
    const asked = i < 0 ? samplers.keys() : [...turns.slice(first), ...turns.slice(0, first)];
    for (const who of asked) {
      if (failures.has(who)) continue;
      await randomPhase();
      try {
        const value = await samplers.get(who)!();
        if (i >= 0) samples.get(who)!.push(value);
      } catch (error) {
        failures.set(who, error as Error);
      }
    }
  }
  return new Map([...samples].map(([who, values]) => [who, failures.get(who) ?? summarize(values)]));
}

/** Resolves or rejects as `work` does; rejects after `ms` milliseconds. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = delay(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what}: not within ${ms / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
