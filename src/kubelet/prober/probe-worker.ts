import type { Container, Pod, Probe } from '../../api/generated/types.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodTraces } from '../../lib/pod-traces.ts';
import type { EventRecorder, ProbeRecord, ProbeResult, ProbeType, ProbeVerdict } from '../ports.ts';
import { type Attempt, failedByLag, type Prober } from './attempt.ts';
import type { LoopLag } from './loop-lag.ts';
import { gridOrigin, nextCheckAt, type ProbeSettings, probeSettings, retryWhileStarting } from './probe-schedule.ts';
import { initialProbeState, nextProbeState, type ProbeState } from './probe-state.ts';

/** How many results of a probe are kept. */
const KEPT_RESULTS = 20;
/** How much of each result's output is kept, in characters. */
const KEPT_OUTPUT = 1024;
/** Attempts in a row when the prober itself fails (pkg/kubelet/prober/prober.go). */
const MAX_ATTEMPTS = 3;

const TITLE: Record<ProbeType, string> = { liveness: 'Liveness', readiness: 'Readiness', startup: 'Startup' };

export interface ProbeWorkerDeps {
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  readonly logger: Logger;
  readonly traces: PodTraces;
  readonly prober: Prober;
  readonly lag: LoopLag;
}

export interface ProbeTarget {
  readonly pod: Pod;
  readonly podIP: string | undefined;
}

/** Runs one probe on one container instance, from its start until `stop`. */
export class ProbeWorker {
  readonly containerId: string;
  readonly type: ProbeType;
  private readonly deps: ProbeWorkerDeps;
  private readonly container: Container;
  private readonly probe: Probe;
  private readonly settings: ProbeSettings;
  /** The pod as it was observed last. */
  private readonly target: () => ProbeTarget;
  private readonly onVerdict: (verdict: ProbeVerdict) => void;
  private state: ProbeState;
  /** Each takes the place of the oldest. */
  private readonly results: ProbeResult[] = [];
  private newest = -1;
  private begun = false;
  private origin = 0;
  private startedAt = 0;
  private refusals = 0;
  private lastDue: number | undefined;
  private nextDue: number | undefined;
  private timer: Timer | undefined;
  private readonly stopped = new AbortController();

  constructor(
    deps: ProbeWorkerDeps,
    options: {
      readonly container: Container;
      readonly containerId: string;
      readonly type: ProbeType;
      readonly probe: Probe;
      /** Verdict to begin with instead of the type's own. */
      readonly published: ProbeVerdict | undefined;
      readonly target: () => ProbeTarget;
      readonly onVerdict: (verdict: ProbeVerdict) => void;
    },
  ) {
    this.deps = deps;
    this.container = options.container;
    this.containerId = options.containerId;
    this.type = options.type;
    this.probe = options.probe;
    this.target = options.target;
    this.onVerdict = options.onVerdict;
    this.settings = probeSettings(options.probe);
    this.state = initialProbeState(options.type, options.published);
  }

  get verdict(): ProbeVerdict {
    return this.state.verdict;
  }

  /** What is known of it by now. */
  get record(): ProbeRecord {
    const { clock } = this.deps;
    return {
      container: this.container.name,
      containerId: this.containerId,
      type: this.type,
      probe: this.probe,
      verdict: this.state.verdict,
      consecutive: this.state.consecutive,
      nextAt: this.nextDue === undefined ? undefined : clock.now() + Math.max(0, this.nextDue - clock.monotonic()),
      results: this.newestFirst(),
    };
  }

  /**
   * Begins checking. Does nothing when the probe rests, has begun already, or was stopped.
   * @param startedAt when the container started, monotonic ms
   * @param gateOpenedAt when its startup probe succeeded, monotonic ms; undefined when none held this one back
   * @param onGrid an agent before us has been checking: go on in its rhythm instead of checking at once
   */
  begin(startedAt: number, gateOpenedAt: number | undefined, onGrid: boolean): void {
    if (this.begun || this.state.resting || this.stopped.signal.aborted) return;
    this.begun = true;
    const now = this.deps.clock.monotonic();
    this.startedAt = startedAt;
    this.origin = gridOrigin(startedAt, this.settings, gateOpenedAt);
    // Seen only after its first check was due: check now, and then in its rhythm.
    const first = onGrid ? nextCheckAt(this.origin, this.settings.periodMs, undefined, now) : this.origin;
    this.schedule(first, now);
  }

  /** No more checks; one under way is abandoned, and its result not looked at. The record stays. */
  stop(): void {
    this.stopped.abort();
    this.timer?.cancel();
    this.nextDue = undefined;
  }

  private schedule(due: number, now: number): void {
    this.lookAt(due, now, due);
  }

  /** @param due the instant of the grid that this check is for */
  private lookAt(at: number, now: number, due: number): void {
    const look = (): void => {
      this.lastDue = due;
      this.nextDue = undefined;
      this.check().catch((error: unknown) => {
        this.deps.logger.error({ error, container: this.container.name, probe: this.type }, 'probe worker failed');
      });
    };
    // No timer is shorter than a millisecond.
    if (at <= now) {
      look();
    } else {
      this.nextDue = at;
      this.timer = this.deps.clock.setTimer(at - now, look);
    }
  }

  private async check(): Promise<void> {
    const { clock, lag, prober } = this.deps;
    for (let tries = 1; ; tries++) {
      const at = clock.now();
      const begun = clock.monotonic();
      const endLag = lag.begin();
      const { pod, podIP } = this.target();
      const attempt = await prober({
        probe: this.probe,
        container: this.container,
        containerId: this.containerId,
        timeoutMs: this.settings.timeoutMs,
        signal: this.stopped.signal,
        pod,
        podIP,
      });
      const lagMs = endLag();
      if (this.stopped.signal.aborted) return;
      if (attempt.outcome === 'error' && tries < MAX_ATTEMPTS) continue;
      if (attempt.refused) {
        const now = clock.monotonic();
        const retry = retryWhileStarting(this.startedAt, ++this.refusals, now);
        if (retry?.onGrid) this.origin = retry.at;
        if (retry && this.refusals === 1) this.traceCheck(begun, 'refused, tried again soon');
        if (retry) return this.lookAt(retry.at, now, retry.onGrid ? retry.at : this.lastDue!);
      }
      this.take(attempt, this.judge(attempt, at, clock.monotonic() - begun, lagMs));
      return;
    }
  }

  private judge(attempt: Attempt, at: number, latencyMs: number, lagMs: number): ProbeResult {
    const output = attempt.output.slice(0, KEPT_OUTPUT);
    if (attempt.outcome === 'error') return { at, latencyMs, outcome: 'unknown', output };
    if (failedByLag(attempt, this.settings.timeoutMs, lagMs)) {
      const late = `not counted, since this agent itself was held up for ${Math.round(lagMs)} ms: ${output}`;
      return { at, latencyMs, outcome: 'unknown', output: late };
    }
    return { at, latencyMs, outcome: attempt.outcome, output };
  }

  private take(attempt: Attempt, result: ProbeResult): void {
    this.newest = (this.newest + 1) % KEPT_RESULTS;
    this.results[this.newest] = result;
    this.announce(attempt, result);
    const before = this.state;
    const counted = result.outcome === 'warning' ? 'success' : result.outcome;
    this.state = nextProbeState(this.type, this.settings, before, counted);
    this.traceResult(result, this.state.verdict !== before.verdict);
    if (!this.state.resting) {
      const now = this.deps.clock.monotonic();
      this.schedule(nextCheckAt(this.origin, this.settings.periodMs, this.lastDue, now), now);
    }
    if (this.state.verdict !== before.verdict) this.onVerdict(this.state.verdict);
  }

  private newestFirst(): ProbeResult[] {
    const { results, newest } = this;
    return [...results.slice(0, newest + 1).reverse(), ...results.slice(newest + 1).reverse()];
  }

  /** Of the many checks, a trace holds the first and those that decided something. */
  private traceResult({ outcome, latencyMs }: ProbeResult, isDecisive: boolean): void {
    if (this.results.length > 1 && !isDecisive) return;
    const { traces, clock } = this.deps;
    const subject = traces.subjectOf(this.containerId);
    const start = clock.monotonic() - latencyMs;
    const kills = isDecisive && this.state.verdict === 'failure' && this.type !== 'readiness';
    if (subject && kills) traces.interrupted(subject, start);
    this.traceCheck(start, outcome);
  }

  private traceCheck(start: number, outcome: string): void {
    const { traces } = this.deps;
    traces.note(traces.subjectOf(this.containerId), `${this.type} probe`, outcome, start);
  }

  /** Says in an event what was not a plain success (pkg/kubelet/prober/prober.go, as recorded from 1.36). */
  private announce(attempt: Attempt, result: ProbeResult): void {
    const { pod } = this.target();
    const title = `${TITLE[this.type]} probe`;
    const warn = (reason: string, message: string): void =>
      this.deps.recorder.event(pod, 'Warning', reason, message, this.container.name);
    if (result.outcome === 'failure') warn('Unhealthy', `${title} failed: ${attempt.output}`);
    if (result.outcome === 'warning') warn('ProbeWarning', `${title} warning: ${attempt.output}`);
    if (result.outcome !== 'unknown') return;
    if (attempt.outcome === 'error') {
      warn('Unhealthy', `${title} errored and resulted in unknown state: ${attempt.output}`);
    } else {
      const { name, namespace } = pod.metadata;
      this.deps.logger.warn({ namespace, pod: name, container: this.container.name, probe: this.type }, result.output);
    }
  }
}
