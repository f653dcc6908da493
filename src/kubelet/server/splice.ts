import type { Duplex } from 'node:stream';

/**
 * Copies bytes both ways, with back-pressure. What an end has sent before it ended still reaches the other, however slowly that reads; an
 * end that breaks off takes the other with it.
 */
export function splice(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => from.destroy());
    from.once('close', () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}
