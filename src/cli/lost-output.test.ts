import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { watchOutput } from './lost-output.ts';

function watch() {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const exits: number[] = [];
  const onLost = watchOutput(stdout, stderr, (code) => exits.push(code));
  const fail = (code: string): unknown => stdout.emit('error', Object.assign(new Error(`${code}: why`), { code }));
  return { stderr, exits, onLost, fail, said: () => (stderr.read() as Buffer | null)?.toString() ?? '' };
}

test.each([
  ['EPIPE', 0, ''],
  ['ENOSPC', 1, 'error: cannot write to standard output: ENOSPC: why\n'],
])('%s ends a command that has nothing to clean up with %d', (code, exitCode, words) => {
  const { fail, exits, said } = watch();
  fail(code);
  fail(code);
  expect([exits, said()]).toEqual([[exitCode], words]);
});

test('whoever has something to clean up is told once, and goes on', () => {
  const { fail, exits, onLost, stderr } = watch();
  let told = 0;
  const off = onLost(() => told++);
  fail('EPIPE');
  stderr.emit('error', new Error('EIO'));
  off();
  fail('EPIPE');
  expect([told, exits]).toEqual([1, []]);
});
