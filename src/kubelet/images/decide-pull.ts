/** Where an image stands with its failed pulls, per pod and image. */
export interface PullBackOff {
  /** The delay that stands, ms. */
  readonly delayMs: number;
  /** When the last pull failed, monotonic ms. */
  readonly failedAt: number;
}

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export type PullDecision =
  | { readonly action: 'use' }
  | { readonly action: 'pull' }
  | { readonly action: 'refuse' }
  /** `until`: monotonic ms */
  | { readonly action: 'backOff'; readonly until: number };

/** The scale of the pull back-off: `pkg/kubelet/kubelet.go` (imageBackOffPeriod, MaxContainerBackOff). */
const INITIAL_DELAY_MS = 10_000;
const MAX_DELAY_MS = 300_000;

/**
 * What to do about a container's image.
 * @param backOff of earlier failures of this pod's pulls of this image, if any
 * @param now monotonic ms
 */
export function decidePull(
  policy: PullPolicy,
  present: boolean,
  backOff: PullBackOff | undefined,
  now: number,
): PullDecision {
  if (policy !== 'Always' && present) return { action: 'use' };
  if (policy === 'Never') return { action: 'refuse' };
  if (backOff && now < backOffEnd(backOff)) return { action: 'backOff', until: backOffEnd(backOff) };
  return { action: 'pull' };
}

/** When the next pull may be tried, monotonic ms. */
export function backOffEnd(backOff: PullBackOff): number {
  return backOff.failedAt + backOff.delayMs;
}

/** The back-off after one more failure: doubled, or from the start once twice the longest delay went by without any. */
export function afterFailure(previous: PullBackOff | undefined, now: number): PullBackOff {
  if (!previous || isForgotten(previous, now)) return { delayMs: INITIAL_DELAY_MS, failedAt: now };
  return { delayMs: Math.min(previous.delayMs * 2, MAX_DELAY_MS), failedAt: now };
}

/** Whether a failure is so long ago that it counts for nothing. */
export function isForgotten(backOff: PullBackOff, now: number): boolean {
  return now - backOff.failedAt > 2 * MAX_DELAY_MS;
}
