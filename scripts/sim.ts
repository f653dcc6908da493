/**
 * Random lives of nodes under faults, on virtual time: `make sim` (1,000 seeds), `make sim-long` (100,000).
 *   node scripts/sim.ts [--seeds N] [--from SEED] [--jobs N] [--enough N] [--only CHECKER] [--shrink N]
 * A seed that fails is shrunk and written to test/sim/regressions/, from where it is run for ever. Exit code 1 when anything failed
 * or a rare branch was never reached.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { generateCase } from '../src/simulator/generate-case.ts';
import { EXPECTED_MARKS } from '../src/simulator/marks.ts';
import { runSeeds, type SeedsReport, violationsOf } from '../src/simulator/run-seeds.ts';
import { shrink } from '../src/simulator/shrink.ts';

const CHUNK = 25;
/** So few seeds need not reach everything. */
const ENOUGH_FOR_ALL_MARKS = 1000;
const REGRESSIONS = join(import.meta.dirname, '../test/sim/regressions');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '0' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      enough: { type: 'string', default: '20' },
      only: { type: 'string' },
      shrink: { type: 'string', default: '3' },
    },
  });
  const from = Number(values.from);
  const count = Number(values.seeds);
  const started = performance.now();
  const marks = new Set<string>();
  const failures: SeedsReport['failures'][number][] = [];
  let next = from;
  let done = 0;
  const take = (): number[] => {
    if (failures.length >= Number(values.enough)) return [];
    const chunk = Array.from({ length: Math.min(CHUNK, from + count - next) }, (_, i) => next + i);
    next += chunk.length;
    return chunk;
  };
  await Promise.all(
    Array.from({ length: Number(values.jobs) }, () =>
      runWorker(take, (report, seeds) => {
        done += seeds;
        for (const mark of report.marks) marks.add(mark);
        for (const failure of report.failures) {
          const violations = failure.violations.filter((v) => !values.only || v.checker === values.only);
          if (violations.length === 0) continue;
          failures.push({ ...failure, violations });
          const [first] = violations;
          console.log(
            `sim: seed ${failure.seed}: ${first!.checker} at ${first!.atMs} ms: ${first!.message.split('\n')[0]}`,
          );
        }
        if (done % 1000 < seeds && count > 1000)
          console.log(`sim: ${done} of ${count} seeds, ${failures.length} failed`);
      }),
    ),
  );
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
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `sim: ${done} seeds in ${seconds} s, ${failures.length} failed, ${marks.size} kinds of rare events reached`,
  );
  process.exitCode = failures.length + missed.length > 0 ? 1 : 0;
}

function runWorker(take: () => number[], onReport: (report: SeedsReport, seeds: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: 'seeds' });
    let asked = 0;
    const feed = (): void => {
      const seeds = take();
      asked = seeds.length;
      if (asked > 0) worker.postMessage(seeds);
      else void worker.terminate().then(() => resolve());
    };
    worker.on('message', (report: SeedsReport) => {
      onReport(report, asked);
      feed();
    });
    worker.on('error', reject);
    feed();
  });
}

if (isMainThread) await main();
else if (workerData === 'seeds') {
  parentPort!.on('message', async (seeds: number[]) => parentPort!.postMessage(await runSeeds(seeds)));
}
