/**
 * All static checks at once: `make check`. One line per check, the output of those that fail, exit code 1 if any does.
 * The import table and the ban on real time and randomness are Biome rules (biome.json, lint/).
 */
import { spawn } from 'node:child_process';
import { styleText } from 'node:util';

const checks: readonly (readonly [what: string, command: string, ...args: string[]])[] = [
  ['format, lint, import table', 'biome', 'check', '--error-on-warnings', '--max-diagnostics=50'],
  ['types', 'tsc', '--noEmit'],
  ['dead code, dependencies', 'knip', '--no-progress'],
  ['package', 'publint', 'run', '--strict'],
];

interface Result {
  readonly what: string;
  readonly ok: boolean;
  readonly output: string;
  readonly seconds: string;
}

function run([what, command, ...args]: (typeof checks)[number]): Promise<Result> {
  const start = performance.now();
  return new Promise((resolve) => {
    let output = '';
    const done = (ok: boolean): void =>
      resolve({ what, ok, output, seconds: ((performance.now() - start) / 1000).toFixed(1) });
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    child.on('error', (error) => {
      output += `${error.message}\n`;
      done(false);
    });
    child.on('close', (code) => done(code === 0));
  });
}

const results = await Promise.all(checks.map(run));
for (const { ok, what, output } of results) {
  if (!ok) console.log(`${styleText('red', `--- ${what} ---`)}\n${output}`);
}
for (const { ok, what, seconds } of results) {
  console.log(`check: ${ok ? styleText('green', 'ok    ') : styleText('red', 'FAILED')} ${what} (${seconds} s)`);
}
process.exitCode = results.every((r) => r.ok) ? 0 : 1;
