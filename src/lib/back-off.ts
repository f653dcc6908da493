/** How delays grow. All in milliseconds. */
export interface BackOffPolicy {
  readonly initialMs: number;
  readonly maxMs: number;
  /** An entry is forgotten when the next failure comes more than so long after the last bump. */
  readonly resetAfterMs: number;
}

/** The state of one thing that keeps failing. Times are monotonic ms. */
export interface BackOffEntry {
  readonly delayMs: number;
  readonly bumpedAt: number;
}

/**
 * How long to wait until something that failed at `failedAt` may be tried again; 0 means now. The delay counts from the failure.
 * Without an entry the first retry is immediate. Rule: client-go `util/flowcontrol/backoff.go`, IsInBackOffSince. Pure.
 */
export function backOffRemainingMs(
  entry: BackOffEntry | undefined,
  failedAt: number,
  now: number,
  policy: BackOffPolicy,
): number {
  if (!entry || isExpired(entry, failedAt, policy)) return 0;
  return Math.max(0, entry.delayMs - (now - failedAt));
}

/** The entry after one more try, made `now` because of a failure at `failedAt`: twice the delay, up to the ceiling. Pure. */
export function bumpBackOff(
  entry: BackOffEntry | undefined,
  failedAt: number,
  now: number,
  policy: BackOffPolicy,
): BackOffEntry {
  const first = Math.min(policy.initialMs, policy.maxMs);
  const delayMs = !entry || isExpired(entry, failedAt, policy) ? first : Math.min(entry.delayMs * 2, policy.maxMs);
  return { delayMs, bumpedAt: now };
}

function isExpired(entry: BackOffEntry, failedAt: number, policy: BackOffPolicy): boolean {
  return failedAt - entry.bumpedAt > policy.resetAfterMs;
}
