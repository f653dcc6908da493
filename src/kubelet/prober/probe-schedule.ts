/** When checks happen: a grid on monotonic time, so that neither slow checks nor clock jumps shift later ones. Pure. */
import type { Probe } from '../../api/generated/types.ts';
import type { Thresholds } from './probe-state.ts';

export interface ProbeSettings extends Thresholds {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
}

/** A probe's numbers with Kubernetes' defaults; 0 means the default, as in the API (pkg/apis/core/v1/defaults.go). */
export function probeSettings(probe: Probe): ProbeSettings {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: (probe.periodSeconds || 10) * 1000,
    timeoutMs: (probe.timeoutSeconds || 1) * 1000,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  };
}

/**
 * The instant of the first check, from which the grid is counted.
 * @param startedAt when the container started, monotonic ms
 * @param gateOpenedAt when the startup probe let this one begin, monotonic ms; undefined when nothing held it back
 */
export function gridOrigin(startedAt: number, settings: ProbeSettings, gateOpenedAt: number | undefined): number {
  return Math.max(startedAt + settings.initialDelayMs, gateOpenedAt ?? Number.NEGATIVE_INFINITY);
}

/**
 * A check that ends this little after the next one was due does not make it skip. Without it a probe whose time-out equals its
 * period would, when it times out, run only every other period and double the time to a verdict.
 */
const OVERLAP_MS = 50;

/**
 * Monotonic times are fractions: (origin + period - origin) / period can be a hair above 1, and rounding that up would skip a
 * check. In periods.
 */
const ROUNDING = 1e-6;

/**
 * A container that runs for less than this may not listen yet. The kubelet, whose first check comes at a random moment of the first
 * period, mostly misses that; we, who come at once, would take it for a failure. So a refused connection then counts for nothing.
 */
export const STARTING_MS = 1000;
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 80;

/**
 * When to look again at a container that starts and has refused a connection; undefined once it has had its time and the refusal
 * counts. `onGrid`: this is its first check that counts, and the grid begins with it.
 * @param startedAt monotonic ms
 * @param refusals how often it has refused so far, this time included
 */
export function retryWhileStarting(
  startedAt: number,
  refusals: number,
  now: number,
): { readonly at: number; readonly onGrid: boolean } | undefined {
  const end = startedAt + STARTING_MS;
  if (now >= end) return undefined;
  const at = now + Math.min(FIRST_RETRY_MS * 2 ** (refusals - 1), LAST_RETRY_MS);
  return at < end ? { at, onGrid: false } : { at: end, onGrid: true };
}

/**
 * When to check next, in monotonic ms: the first instant of the grid after `lastDue` that has not passed yet. What fell due
 * while a check was still running is skipped, never made up for.
 * @param lastDue the grid instant of the check before; undefined when there was none
 */
export function nextCheckAt(origin: number, periodMs: number, lastDue: number | undefined, now: number): number {
  const notBefore = Math.max(now - OVERLAP_MS, lastDue === undefined ? origin : lastDue + periodMs);
  return origin + Math.max(0, Math.ceil((notBefore - origin) / periodMs - ROUNDING)) * periodMs;
}
