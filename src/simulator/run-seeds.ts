import { generateCase } from './generate-case.ts';
import { Marks } from './marks.ts';
import { runCase, type SimCase } from './sim-case.ts';
import type { Violation } from './simulate.ts';

export interface SeedsReport {
  readonly failures: readonly { readonly seed: number; readonly violations: readonly Violation[] }[];
  /** Which rare branches were reached. */
  readonly marks: readonly string[];
}

/** Runs the random cases of some seeds under all checkers. @param enough stops after so many failures */
export async function runSeeds(seeds: Iterable<number>, enough = Number.POSITIVE_INFINITY): Promise<SeedsReport> {
  const marks = new Marks();
  const failures: { seed: number; violations: readonly Violation[] }[] = [];
  for (const seed of seeds) {
    const violations = await violationsOf(generateCase(seed), marks);
    if (violations.length > 0) failures.push({ seed, violations });
    if (failures.length >= enough) break;
  }
  return { failures, marks: [...marks.reached] };
}

/** What is wrong in a case; what our code throws where nobody catches it included. */
export async function violationsOf(simCase: SimCase, marks = new Marks()): Promise<readonly Violation[]> {
  try {
    return (await runCase(simCase, marks.watch())).violations;
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return [{ checker: 'no-bugs', atMs: 0, message }];
  }
}
