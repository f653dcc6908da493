/**
 * Brings bugs back on purpose, each in a copy of the sources, and shows that the simulator finds it: `make sim-mutants`.
 *   node scripts/sim-mutants.ts [NAME|CHECKER ...]
 * Exit code 1 when one is not found, or is not in the sources any more.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTANTS, type Mutant, mutate } from '../test/sim/mutants.ts';

const SEEDS = 1000;
const ROOT = join(import.meta.dirname, '..');

const wanted = process.argv.slice(2);
const chosen = MUTANTS.filter(
  ({ name, checker }) => wanted.length === 0 || wanted.some((text) => name.includes(text) || checker === text),
);
const started = performance.now();
let missed = 0;
for (const mutant of chosen) {
  const output = await runMutant(mutant);
  const found = /^sim: seed (\d+): (.*)$/m.exec(output);
  if (!found) missed++;
  console.log(
    found
      ? `found     ${mutant.name}\n          seed ${found[1]}: ${found[2]}`
      : `NOT FOUND ${mutant.name} (${mutant.checker})\n${output.slice(-2000)}`,
  );
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(
  `sim-mutants: ${chosen.length - missed} of ${chosen.length} found within ${SEEDS} seeds each, ${seconds} s`,
);
process.exitCode = missed > 0 || chosen.length === 0 ? 1 : 0;

/** @returns what the simulator said of a copy of the sources with the bug in it */
async function runMutant(mutant: Mutant): Promise<string> {
  const mutated = mutate(mutant, ROOT);
  const dir = mkdtempSync(join(tmpdir(), 'sim-mutant-'));
  try {
    mkdirSync(join(dir, 'test'));
    for (const part of ['src', 'scripts', 'test/sim', 'package.json']) {
      cpSync(join(ROOT, part), join(dir, part), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    writeFileSync(join(dir, mutant.file), mutated);
    const options = ['--seeds', String(SEEDS), '--enough', '1', '--shrink', '0', '--only', mutant.checker];
    return await run(dir, ['scripts/sim.ts', ...options]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function run(cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}
