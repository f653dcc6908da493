import type { Container, Pod, Probe } from '../../api/generated/types.ts';

/** How one attempt ended. */
export interface Attempt {
  /** `warning`: success with a remark. `error`: the prober itself failed, which says nothing about the container. */
  readonly outcome: 'success' | 'warning' | 'failure' | 'error';
  /** The kubelet's words; at most a few KiB. */
  readonly output: string;
  /** The failure rests on our own clock (a time-out, or a peer that lost patience with us), not on an answer. */
  readonly ownTime?: boolean;
  /** The failure is a refused connection: nobody listens there (yet). */
  readonly refused?: boolean;
}

export interface AttemptInput {
  readonly probe: Probe;
  readonly pod: Pod;
  readonly container: Container;
  readonly containerId: string;
  /** The pod's address; undefined while it has none. */
  readonly podIP: string | undefined;
  readonly timeoutMs: number;
  /** Ends the attempt early; its result is then not looked at. */
  readonly signal: AbortSignal;
}

/** Makes one attempt. Never rejects. The simulator has its own. */
export type Prober = (input: AttemptInput) => Promise<Attempt>;

/** Kubernetes reads this much of an answer (pkg/probe/http, pkg/probe/exec: 10 KiB). */
export const MAX_OUTPUT_BYTES = 10 * 1024;

/**
 * Whether an attempt failed only because this process was late: it failed by our own clock, and for more than a tenth of the
 * time-out we did not run, so that the container never had its full time to answer. Such an attempt counts for nothing:
 * our lag must not kill a healthy pod. An answer (a status, an exit code, a refused connection) always counts.
 */
export function failedByLag(attempt: Attempt, timeoutMs: number, lagMs: number): boolean {
  return attempt.outcome === 'failure' && attempt.ownTime === true && lagMs > timeoutMs / 10;
}
