/** Of the units that `sleep` knows. */
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * How long a command sleeps, in ms: `sleep 5`, `sleep 2m`, and every `sleep 5` in the script of a shell. As much of a shell as the simulation
 * needs; 0 for anything else.
 */
export function sleepMsOf(command: readonly string[]): number {
  const [program = '', ...args] = command;
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (name === 'sleep') return sleepsIn(`sleep ${args[0] ?? ''}`);
  return /^(ba|da|a)?sh$/.test(name) ? sleepsIn(args.at(-1) ?? '') : 0;
}

function sleepsIn(script: string): number {
  let ms = 0;
  for (const [, amount, unit = 's'] of script.matchAll(/\bsleep (\d+(?:\.\d+)?)([smhd])?\b/g)) {
    ms += Number(amount) * UNIT_MS[unit]!;
  }
  return ms;
}
