import { type HealthWindow, isOpen } from '../scenario.ts';
import type { LaneSegment, LaneState } from './forecast.ts';
import { type Interval, OpenInterval } from './intervals.ts';

/** What is known of one container at a moment, and what it did before. All times in ms since the objects were created. */
export class ContainerTrack {
  /** Name of its pod. */
  readonly pod: string;
  readonly name: string;
  readonly init: boolean;
  readonly segments: LaneSegment[] = [];
  /** When it ran and none of its probes would have failed. */
  readonly serving: Interval[] = [];
  readonly alive = new OpenInterval();
  /** Results in a row, by probe, of the present instance. */
  readonly streaks = new Map<string, { readonly isGood: boolean; readonly length: number }>();
  /** Instances so far. */
  starts = 0;
  startedAtMs = 0;
  endedAtMs = 0;
  private isReady = false;
  private isStopping = false;
  private isPulling = false;
  private isBackingOff = false;
  private lane: { readonly state: LaneState; readonly fromMs: number } | undefined;

  constructor(pod: string, name: string, init: boolean) {
    this.pod = pod;
    this.name = name;
    this.init = init;
  }

  /** It was told to stop, and has not ended yet. */
  get isAsked(): boolean {
    return this.isStopping;
  }

  start(atMs: number): void {
    this.starts++;
    this.startedAtMs = atMs;
    this.alive.set(true, atMs);
    this.streaks.clear();
    this.isReady = this.isStopping = this.isPulling = this.isBackingOff = false;
    this.move(atMs);
  }

  /** @param health of this instance @param originMs when the objects were created, in the time of `health` */
  end(atMs: number, health: readonly HealthWindow[], originMs: number): void {
    this.noteServing(atMs, health, originMs);
    this.alive.set(false, atMs);
    this.endedAtMs = atMs;
    this.isReady = this.isStopping = false;
    this.move(atMs);
  }

  askToStop(atMs: number): void {
    this.isStopping = this.alive.isOn;
    this.move(atMs);
  }

  pull(isPulling: boolean, atMs: number): void {
    this.isPulling = isPulling;
    if (isPulling) this.isBackingOff = false;
    this.move(atMs);
  }

  backOff(isBackingOff: boolean, atMs: number): void {
    this.isBackingOff = isBackingOff && !this.alive.isOn;
    if (isBackingOff) this.isPulling = false;
    this.move(atMs);
  }

  setReady(isReady: boolean, atMs: number): void {
    this.isReady = isReady && this.alive.isOn;
    this.move(atMs);
  }

  /** Time is over. */
  close(atMs: number, health: readonly HealthWindow[], originMs: number): void {
    this.closeLane(atMs);
    if (this.alive.isOn) this.noteServing(atMs, health, originMs);
  }

  private noteServing(endMs: number, health: readonly HealthWindow[], originMs: number): void {
    const edges = new Set([this.startedAtMs, endMs]);
    for (const { fromMs, toMs = Number.POSITIVE_INFINITY, inRun } of health) {
      for (const at of [fromMs, toMs]) {
        const edge = inRun ? at - originMs : at + this.startedAtMs;
        if (edge > this.startedAtMs && edge < endMs) edges.add(edge);
      }
    }
    const moments = [...edges].sort((a, b) => a - b);
    for (const [i, toMs] of moments.slice(1).entries()) {
      const fromMs = moments[i]!;
      const isIll = health.some((w) => isOpen(w, this.startedAtMs + originMs, fromMs + originMs));
      if (!isIll) this.serving.push({ fromMs, toMs });
    }
  }

  private get state(): LaneState | undefined {
    if (this.alive.isOn) {
      if (this.isStopping) return 'stopping';
      if (this.init) return 'init';
      return this.isReady ? 'ready' : 'running';
    }
    if (this.isPulling) return 'pulling';
    return this.isBackingOff ? 'backOff' : undefined;
  }

  private move(atMs: number): void {
    const { state } = this;
    if (state === this.lane?.state) return;
    this.closeLane(atMs);
    this.lane = state && { state, fromMs: atMs };
  }

  private closeLane(toMs: number): void {
    const { lane } = this;
    if (lane && toMs > lane.fromMs) this.segments.push({ fromMs: lane.fromMs, toMs, state: lane.state });
    this.lane = undefined;
  }
}
