import type { Duplex } from 'node:stream';

/** Copies bytes both ways, with back-pressure, until either end is gone; then neither stays open. */
export function splice(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => from.destroy());
    from.once('close', () => to.destroy());
  }
}
