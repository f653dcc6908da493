import type { Step } from '../../simulator/forecast/forecast.ts';

/** A step, and how often the same check had the same result after it. */
export interface FoldedStep extends Step {
  readonly repeats: number;
  /** Of the last repeat. */
  readonly lastAtMs: number;
}

/** Failures up to so many in a row are shown one by one: they are what a pod dies of. */
const SHOWN_FAILURES = 3;

/**
 * For people: each check that says what the one before it said becomes part of its line, the first failures excepted. What a pod has
 * of a single container is told once. Pure.
 */
export function foldSteps(steps: readonly Step[]): FoldedStep[] {
  const rows: FoldedStep[] = [];
  /** By probe: where its present run of equal results stands. */
  const runs = new Map<string, { row: number; length: number; outcome: string }>();
  for (const step of steps) {
    if (isTold(step, steps)) continue;
    if (step.kind === 'started') forget(runs, step);
    const key = `${keyOf(step)} ${step.probe?.type}`;
    const outcome = `${step.probe?.outcome} ${step.probe?.counts}`;
    const run = step.probe && runs.get(key);
    if (run?.outcome === outcome && (isBoring(step) || ++run.length > SHOWN_FAILURES)) {
      const row = rows[run.row]!;
      rows[run.row] = { ...row, repeats: row.repeats + 1, lastAtMs: step.atMs };
      continue;
    }
    if (step.probe) {
      const length = run?.outcome === outcome ? run.length : 1;
      runs.set(key, { row: rows.length, length, outcome });
    }
    rows.push({ ...step, repeats: 0, lastAtMs: step.atMs });
  }
  return rows;
}

function isBoring({ probe }: Step): boolean {
  return probe !== undefined && (probe.outcome === 'success' || !probe.counts);
}

function forget(runs: Map<string, unknown>, step: Step): void {
  for (const key of runs.keys()) if (key.startsWith(`${keyOf(step)} `)) runs.delete(key);
}

function keyOf({ namespace, pod, container }: Step): string {
  return `${namespace}/${pod}/${container}`;
}

/** The only container's readiness is its pod's. */
function isTold(step: Step, steps: readonly Step[]): boolean {
  if (step.kind !== 'containerReady' && step.kind !== 'containerNotReady') return false;
  return steps.every((s) => s.pod !== step.pod || !s.kind.startsWith('container') || s.container === step.container);
}
