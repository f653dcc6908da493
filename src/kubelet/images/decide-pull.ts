import { type BackOffEntry, type BackOffPolicy, backOffRemainingMs, bumpBackOff } from '../../lib/back-off.ts';

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export type PullDecision =
  | { readonly action: 'use' }
  | { readonly action: 'pull' }
  | { readonly action: 'refuse' }
  /** `until`: monotonic ms */
  | { readonly action: 'backOff'; readonly until: number };

/** The scale of the pull back-off: `pkg/kubelet/kubelet.go` (imageBackOffPeriod, MaxContainerBackOff). */
const BACK_OFF: BackOffPolicy = { initialMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 };

/**
 * What to do about a container's image. Pure.
 * @param backOff of earlier failures of this pod's pulls of this image, if any
 * @param now monotonic ms
 */
export function decidePull(
  policy: PullPolicy,
  present: boolean,
  backOff: BackOffEntry | undefined,
  now: number,
): PullDecision {
  if (policy !== 'Always' && present) return { action: 'use' };
  if (policy === 'Never') return { action: 'refuse' };
  const remainingMs = backOff ? backOffRemainingMs(backOff, backOff.bumpedAt, now, BACK_OFF) : 0;
  if (remainingMs > 0) return { action: 'backOff', until: now + remainingMs };
  return { action: 'pull' };
}

/** When the next pull may be tried, monotonic ms. */
export function backOffEnd(backOff: BackOffEntry): number {
  return backOff.bumpedAt + backOff.delayMs;
}

/** The back-off after one more failure: doubled, or from the start once twice the longest delay went by without any. */
export function afterFailure(previous: BackOffEntry | undefined, now: number): BackOffEntry {
  return bumpBackOff(previous, now, now, BACK_OFF);
}

/** Whether a failure is so long ago that it counts for nothing. */
export function isForgotten(backOff: BackOffEntry, now: number): boolean {
  return now - backOff.bumpedAt > BACK_OFF.resetAfterMs;
}
