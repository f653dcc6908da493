/** The rules by which single probe results become a verdict (kubernetes: pkg/kubelet/prober/worker.go). Pure. */
import type { ProbeType, ProbeVerdict } from '../ports.ts';

/** What is known of one probe of one container instance. */
export interface ProbeState {
  readonly verdict: ProbeVerdict;
  /** Results in a row that differ from the verdict or, while none does and it is `failure`, that led to it and uphold it. */
  readonly consecutive: number;
  /** What those results were when they differ from the verdict. */
  readonly against: 'success' | 'failure' | undefined;
  /** No more checks of this container instance. */
  readonly resting: boolean;
}

export interface Thresholds {
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** Before any result a container counts as alive, not ready, and not known to have started. */
const INITIAL: Record<ProbeType, ProbeVerdict> = { liveness: 'success', readiness: 'failure', startup: 'unknown' };

/**
 * The state of a probe whose container instance has just been seen.
 * @param published the verdict an earlier agent published for this very instance: it stands until a result contradicts it
 */
export function initialProbeState(type: ProbeType, published?: ProbeVerdict): ProbeState {
  const verdict = published ?? INITIAL[type];
  return { verdict, consecutive: 0, against: undefined, resting: rests(type, verdict) };
}

/** The state after one more result. A result that is `unknown` says nothing about the container and changes nothing. */
export function nextProbeState(
  type: ProbeType,
  thresholds: Thresholds,
  state: ProbeState,
  result: 'success' | 'failure' | 'unknown',
): ProbeState {
  if (result === 'unknown' || state.resting) return state;
  if (result === state.verdict) {
    const upheld = state.against === undefined ? state.consecutive + 1 : 1;
    const consecutive = result === 'failure' ? upheld : 0;
    const isSame = state.consecutive === consecutive && state.against === undefined;
    return isSame ? state : { ...state, consecutive, against: undefined };
  }
  const consecutive = state.against === result ? state.consecutive + 1 : 1;
  const needed = result === 'success' ? thresholds.successThreshold : thresholds.failureThreshold;
  if (consecutive < needed) return { ...state, consecutive, against: result };
  const led = result === 'failure' ? consecutive : 0;
  return { verdict: result, consecutive: led, against: undefined, resting: rests(type, result) };
}

/**
 * Startup is decided once per container instance; after a liveness failure the container is about to be killed, and an exec
 * into a container that is being stopped can wedge the runtime.
 */
function rests(type: ProbeType, verdict: ProbeVerdict): boolean {
  if (type === 'startup') return verdict !== 'unknown';
  return type === 'liveness' && verdict === 'failure';
}
