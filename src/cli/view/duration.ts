import { humanDuration } from '../../api/human-duration.ts';

/** A delay that lies ahead, rounded up, so that "in 0s" never stands on the screen. @param ms milliseconds */
export function timeLeft(ms: number): string {
  return humanDuration(Math.max(1, Math.ceil(ms / 1000)) * 1000);
}

/** A measured latency: `850us`, `12ms`, `1.2s`. @param ms milliseconds, fractions allowed */
export function latency(ms: number): string {
  if (ms < 1) return `${Math.max(0, Math.round(ms * 1000))}us`;
  return ms < 1000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
}
