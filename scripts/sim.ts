/**
 * Random lives of nodes under faults, on virtual time: `make sim` (2,000 seeds), `make sim-long` (100,000).
 *   node scripts/sim.ts [--seeds N] [--from SEED] [--jobs N] [--enough N] [--only CHECKER] [--shrink N]
 *   node scripts/sim.ts --trace SEED|FILE     all that happens in one life (or a stored script), a line of JSON each
 * A seed that fails is shrunk and written to test/sim/regressions/, from where it is run for ever. Exit code 1 when anything failed,
 * a rare branch was never reached, or the real world was asked for anything.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { allCheckers } from '../src/simulator/all-checkers.ts';
import { generateCase } from '../src/simulator/generate-case.ts';
import { EXPECTED_MARKS } from '../src/simulator/marks.ts';
import { runSeeds, type SeedsReport, violationsOf } from '../src/simulator/run-seeds.ts';
import { shrink } from '../src/simulator/shrink.ts';
import type { SimCase } from '../src/simulator/sim-case.ts';
import { simulate, type Violation } from '../src/simulator/simulate.ts';
import { watchForLeaks } from '../test/sim/watch-for-leaks.ts';

/** So few seeds need not reach everything. */
const ENOUGH_FOR_ALL_MARKS = 2000;
/** Seeds take a tenth of a second. */
const SEED_TIMEOUT_MS = 120_000;
const PROGRESS_EVERY = 1000;
const REGRESSIONS = join(import.meta.dirname, '../test/sim/regressions');

interface Failure {
  readonly seed: number;
  readonly violations: readonly Violation[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '0' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      enough: { type: 'string', default: '20' },
      only: { type: 'string' },
      shrink: { type: 'string', default: '3' },
      trace: { type: 'string' },
    },
  });
  if (values.trace !== undefined) return printTrace(values.trace);
  const from = Number(values.from);
  const count = Number(values.seeds);
  const started = performance.now();
  const marks = new Map<string, number>();
  const failures: Failure[] = [];
  let next = from;
  let done = 0;
  const take = (): number | undefined =>
    failures.length >= Number(values.enough) || next >= from + count ? undefined : next++;
  const onReport = (report: SeedsReport): void => {
    done++;
    for (const mark of report.marks) marks.set(mark, (marks.get(mark) ?? 0) + 1);
    for (const failure of report.failures) {
      const violations = failure.violations.filter((v) => !values.only || v.checker === values.only);
      const [first] = violations;
      if (!first) continue;
      failures.push({ ...failure, violations });
      console.log(`sim: seed ${failure.seed}: ${first.checker} at ${first.atMs} ms: ${first.message.split('\n')[0]}`);
    }
    if (done % PROGRESS_EVERY === 0 && count > PROGRESS_EVERY)
      console.log(`sim: ${done} of ${count} seeds, ${failures.length} failed`);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, () => runWorker(take, onReport)));
  for (const { seed, violations } of failures.slice(0, Number(values.shrink))) {
    const { checker, message } = violations[0]!;
    const small = await shrink(generateCase(seed), async (smaller) =>
      (await violationsOf(smaller)).some((v) => v.checker === checker),
    );
    mkdirSync(REGRESSIONS, { recursive: true });
    const file = join(REGRESSIONS, `${checker}-${seed}.json`);
    writeFileSync(file, `${JSON.stringify({ checker, found: message, case: small }, undefined, 2)}\n`);
    console.log(`sim: seed ${seed} shrunk: ${file}`);
  }
  const missed = count < ENOUGH_FOR_ALL_MARKS ? [] : EXPECTED_MARKS.filter((mark) => !marks.has(mark));
  if (missed.length > 0) console.log(`sim: never reached: ${missed.join(', ')}`);
  const rarest = [...marks].filter(([mark]) => EXPECTED_MARKS.includes(mark)).sort(([, a], [, b]) => a - b)[0];
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `sim: ${done} seeds in ${seconds} s, ${failures.length} failed, ` +
      `${EXPECTED_MARKS.length - EXPECTED_MARKS.filter((mark) => !marks.has(mark)).length} of ${EXPECTED_MARKS.length} kinds of rare events reached` +
      (rarest ? `, the rarest in ${rarest[1]} seeds (${rarest[0]})` : ''),
  );
  process.exitCode = failures.length + missed.length > 0 ? 1 : 0;
}

/** Runs seeds in a thread, one after the other, until there are none left. One that breaks the thread, or never ends, has failed. */
async function runWorker(take: () => number | undefined, onReport: (report: SeedsReport) => void): Promise<void> {
  let worker: Worker | undefined;
  for (let seed = take(); seed !== undefined; seed = take()) {
    worker ??= new Worker(new URL(import.meta.url), { workerData: 'seeds' });
    try {
      onReport(await runIn(worker, seed));
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      onReport({ failures: [{ seed, violations: [{ checker: 'no-bugs', atMs: 0, message }] }], marks: [] });
      await worker.terminate();
      worker = undefined;
    }
  }
  await worker?.terminate();
}

function runIn(worker: Worker, seed: number): Promise<SeedsReport> {
  const { promise, resolve, reject } = Promise.withResolvers<SeedsReport>();
  const timer = setTimeout(() => reject(new Error(`no end within ${SEED_TIMEOUT_MS} ms`)), SEED_TIMEOUT_MS);
  worker.once('message', resolve).once('error', reject);
  worker.postMessage(seed);
  return promise.finally(() => {
    clearTimeout(timer);
    worker.off('message', resolve).off('error', reject);
  });
}

/** In a thread of its own. */
async function runSeed(seed: number, leaksOf: () => string[]): Promise<SeedsReport> {
  const report = await runSeeds([seed]);
  const leaks = leaksOf();
  if (leaks.length === 0) return report;
  const message = `the simulation asks the real world: ${leaks.join(', ')}`;
  const violations = [{ checker: 'only-simulated', atMs: 0, message }, ...(report.failures[0]?.violations ?? [])];
  return { ...report, failures: [{ seed, violations }] };
}

async function printTrace(what: string): Promise<void> {
  const simCase = what.endsWith('.json')
    ? (JSON.parse(readFileSync(what, 'utf8')) as { case: SimCase }).case
    : generateCase(Number(what));
  console.log(JSON.stringify(simCase));
  const { facts, violations, hash } = await simulate({ ...simCase, checkers: allCheckers() });
  for (const fact of facts) {
    console.log(JSON.stringify(fact, (_, value: unknown) => (value instanceof Map ? [...value] : value)));
  }
  for (const violation of violations) console.log(JSON.stringify(violation));
  console.log(hash);
}

if (isMainThread) await main();
else if (workerData === 'seeds') {
  const { taken } = watchForLeaks();
  parentPort!.on('message', async (seed: number) => parentPort!.postMessage(await runSeed(seed, taken)));
}
