import type { KubeObject } from '../api/resources.ts';
import { allCheckers } from './all-checkers.ts';
import type { Fact } from './fact.ts';
import type { Scenario } from './scenario.ts';
import { simulate, type Violation } from './simulate.ts';

/** All that a run depends on. Plain JSON, so that one that failed can be kept and run again for ever. */
export interface SimCase {
  readonly seed: number;
  readonly objects: readonly KubeObject[];
  readonly scenario: Scenario;
  readonly maxApiLatencyMs?: number;
}

export interface CaseResult {
  readonly violations: readonly Violation[];
}

/** Runs a case under all checkers. */
export async function runCase(simCase: SimCase, onFact?: (fact: Fact) => void): Promise<CaseResult> {
  const { violations } = await simulate({
    ...simCase,
    checkers: allCheckers(),
    keepsFacts: false,
    ...(onFact ? { onFact } : {}),
  });
  return { violations };
}
