import { errnoOf, messageOf } from '../lib/errors.ts';
import type { Output } from './context.ts';

/**
 * Looks after an output that cannot be written to any more: the reader of a pipe has gone (`kubelette logs p | head`, which is no
 * failure), the disk is full (told on standard error), the terminal was closed. Whoever has something to clean up is told, once;
 * where nobody has, the process ends.
 * @param exit ends the process with this code
 * @returns adds a listener, and returns what removes it again
 */
export function watchOutput(
  stdout: Output,
  stderr: Output,
  exit: (code: number) => void,
): (listener: () => void) => () => void {
  const listeners = new Set<() => void>();
  let lost = false;
  stdout.on('error', (error) => {
    if (lost) return;
    lost = true;
    const isPipe = errnoOf(error) === 'EPIPE';
    if (!isPipe) stderr.write(`error: cannot write to standard output: ${messageOf(error)}\n`);
    if (listeners.size === 0) exit(isPipe ? 0 : 1);
    for (const listener of listeners) listener();
  });
  // There is nobody left to tell.
  stderr.on('error', () => {});
  return (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
}
