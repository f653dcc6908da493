/**
 * How long a command sleeps, in ms: `sleep 5`, and every `sleep 5` in the script of a shell. As much of a shell as the simulation
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
  for (const [, amount] of script.matchAll(/\bsleep (\d+(?:\.\d+)?)s?\b/g)) ms += Number(amount) * 1000;
  return ms;
}
