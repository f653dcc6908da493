import type { ClientForecast } from './forecast.ts';
import { boundaries, covers, type Interval } from './intervals.ts';

/** One that requests may be led to. */
export interface Backend {
  /** When requests are led there. */
  readonly routed: readonly Interval[];
  /** When it answers them well. */
  readonly serving: readonly Interval[];
}

/**
 * What somebody sees who sends requests all the time: each goes to one of those that are routed to, with the same chance; where there
 * is none it is refused. Before the first success nothing counts as an error, as nobody was promised anything yet. Pure.
 */
export function clientErrors(
  backends: readonly Backend[],
  untilMs: number,
): Pick<ClientForecast, 'servedAtMs' | 'errors' | 'errorMs'> {
  const lists = backends.flatMap(({ routed, serving }) => [routed, serving]);
  const moments = boundaries(lists, 0, untilMs);
  let servedAtMs: number | undefined;
  const errors: { fromMs: number; toMs: number; share: number }[] = [];
  for (const [i, toMs] of moments.slice(1).entries()) {
    const fromMs = moments[i]!;
    const routed = backends.filter((b) => covers(b.routed, fromMs));
    const well = routed.filter((b) => covers(b.serving, fromMs)).length;
    const share = routed.length === 0 ? 1 : 1 - well / routed.length;
    if (share < 1) servedAtMs ??= fromMs;
    if (servedAtMs === undefined || share === 0) continue;
    const last = errors.at(-1);
    if (last && last.toMs === fromMs && last.share === share) last.toMs = toMs;
    else errors.push({ fromMs, toMs, share });
  }
  const errorMs = Math.round(errors.reduce((sum, e) => sum + (e.toMs - e.fromMs) * e.share, 0));
  return { ...(servedAtMs === undefined ? {} : { servedAtMs }), errors, errorMs };
}
