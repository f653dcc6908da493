/**
 * `make bench`: kubelette against bare CRI calls, Kubernetes' kubelet (`--kubelet PATH`), Docker Compose and podman, side by side in one
 * run. Prints a table, and writes docs/bench.svg and docs/bench.json. `--quick` measures a little of everything, to see that it works;
 * it writes and judges nothing, and fails only when something does not work. `--only PART` measures one part and writes nothing.
 * Nothing of it is left on the host.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startStandIns } from '../test/stand-ins/start-stand-ins.ts';
import { BareCri } from './contenders/bare-cri.ts';
import { Compose } from './contenders/compose.ts';
import type { Contender } from './contenders/contender.ts';
import { Kubelet } from './contenders/kubelet.ts';
import { Kubelette } from './contenders/kubelette.ts';
import { Podman } from './contenders/podman.ts';
import { machine } from './host.ts';
import { picture } from './picture.ts';
import { FULL, QUICK } from './plan.ts';
import { type Columns, footer, header, tableRow } from './report.ts';
import type { Row } from './row.ts';
import { crowds } from './rows/crowds.ts';
import { nodeStart } from './rows/node-start.ts';
import { probeRate } from './rows/probe-rate.ts';
import { readinessFlips } from './rows/readiness-flips.ts';
import { moreContainers, starts } from './rows/starts.ts';
import { storedObjects } from './rows/stored-objects.ts';

const PARTS = ['starts', 'crowds', 'probes', 'nodes', 'services'] as const;
const USAGE = `usage: node bench/bench.ts [--quick] [--kubelet PATH] [--only ${PARTS.join('|')}]`;
const given = options();
const plan = given.quick ? QUICK : FULL;
const isJudged = !given.quick;
const docs = fileURLToPath(new URL('../docs', import.meta.url));
const begun = performance.now();

const work = mkdtempSync(join(tmpdir(), 'kubelette-bench-'));
const rows: Row[] = [];
const absent = new Map<string, string>();
const standIns = await startStandIns((text) => console.log(text));
const { registryMirror } = standIns;
/** The largest crowd is more than a node runs unless it is told to. */
const maxPods = Math.max(110, ...plan.growth);
const ours = new Kubelette(join(work, 'kubelette'), registryMirror, ['--max-pods', String(maxPods)]);
const bare = new BareCri(join(work, 'bare'), registryMirror);
/** Of its own for the rows with many Services: as many addresses as the default instance has. */
const wide = new Kubelette(join(work, 'wide'), registryMirror, ['--service-cidr', '10.64.0.0/16']);
const others = otherContenders();
const columns: Columns = { names: ['kubelette', 'bare CRI', 'kubelet', 'Compose', 'podman'], absent };

for (const end of ['SIGINT', 'SIGTERM', 'uncaughtException'] as const) {
  process.once(end, (why: unknown) => {
    console.error(why, 'cleaning up');
    void cleanUp().finally(() => process.exit(1));
  });
}

const parts: Record<(typeof PARTS)[number], () => Promise<void>> = {
  starts: async () => {
    const foreign = await startAll();
    await show(starts(ours, bare, foreign, absent, plan));
    await show(moreContainers(ours, bare, plan));
    await show(storedObjects(ours, plan));
    for (const contender of [ours, bare, ...foreign]) await contender.stop();
  },
  crowds: () => show(crowds(ours, [bare, ...others.filter(({ name }) => !absent.has(name))], absent, plan)),
  probes: () => show(probeRate(ours, plan)),
  nodes: () => show(nodeStart(ours, plan)),
  services: () => show(readinessFlips(wide, plan)),
};

try {
  const { rounds, closely } = plan;
  const samples = `starts: ${rounds} samples each, ${rounds * closely} of kubelette and bare CRI`;
  console.log(`${machine()}; ${isJudged ? samples : 'a little of everything, nothing to judge by'}`);
  console.log(header(columns));
  for (const name of PARTS) {
    if (name !== (given.only ?? name)) continue;
    try {
      await parts[name]();
    } catch (error) {
      // The other parts may still work.
      console.error(`${name}: FAILED:`, error);
      process.exitCode = 1;
      await stopAll();
    }
  }
} finally {
  await cleanUp();
}
console.log(footer(rows, columns, isJudged));
console.log(`${((performance.now() - begun) / 60_000).toFixed(1)} minutes`);
if (!given.quick && !given.only) {
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, 'bench.svg'), picture(rows, machine(), columns));
  const raw = rows.map(({ what, unit, cells, goals }) => ({ what, unit, figures: Object.fromEntries(cells), goals }));
  const result = { machine: machine(), absent: Object.fromEntries(absent), rows: raw };
  writeFileSync(join(docs, 'bench.json'), `${JSON.stringify(result, null, 1)}\n`);
}

/** What the command line says; ends the process with a word on what is wrong with it. */
function options(): { quick?: boolean; kubelet?: string; only?: string } {
  try {
    const { values } = parseArgs({
      options: { quick: { type: 'boolean' }, kubelet: { type: 'string' }, only: { type: 'string' } },
    });
    if (values.only !== undefined && !(PARTS as readonly string[]).includes(values.only)) {
      throw new Error(`--only ${values.only}: must be one of ${PARTS.join(', ')}`);
    }
    if (values.kubelet !== undefined) accessSync(values.kubelet, constants.X_OK);
    return values;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

/** Those that this machine has the programs of; the others are noted as absent. */
function otherContenders(): Contender[] {
  const found: Contender[] = [];
  if (given.kubelet === undefined) {
    absent.set('kubelet', 'make bench KUBELET=PATH names a binary');
  } else {
    found.push(new Kubelet(given.kubelet, join(work, 'kubelet'), registryMirror));
  }
  for (const [name, Kind] of [
    ['Compose', Compose],
    ['podman', Podman],
  ] as const) {
    const missing = Kind.missing();
    if (missing === undefined) found.push(new Kind(join(work, name.toLowerCase()), registryMirror));
    else absent.set(name, missing);
  }
  return found;
}

/** Starts everybody. Resolves with the foreign ones that work here. */
async function startAll(): Promise<Contender[]> {
  await ours.start();
  await bare.start();
  const working: Contender[] = [];
  for (const contender of others) {
    try {
      await contender.start();
      working.push(contender);
    } catch (error) {
      absent.set(contender.name, (error as Error).message);
      await contender.stop();
    }
  }
  return working;
}

async function show(measured: AsyncIterable<Row>): Promise<void> {
  for await (const row of measured) {
    rows.push(row);
    console.log(tableRow(row, columns, isJudged));
  }
}

async function stopAll(): Promise<void> {
  for (const contender of [ours, wide, bare, ...others]) {
    await contender.stop().catch((error: unknown) => console.error(`${contender.name}: ${(error as Error).message}`));
  }
}

async function cleanUp(): Promise<void> {
  await stopAll();
  rmSync(work, { recursive: true, force: true });
  await standIns.stop();
}
