import type { Clock, Timer } from '../../lib/clock.ts';

/** Bytes of the image pulls under way on this node, all together. */
export interface PullBytes {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Reports progress until the signal aborts; how it is found out is the runtime adapter's business. */
export type WatchPull = (onProgress: (progress: PullBytes) => void, signal: AbortSignal) => Promise<void>;

/** Nobody has asked for this long: the runtime is left alone again, and what was counted is forgotten. */
const IDLE_MS = 3000;

/** Pull progress for those who look at it: the runtime is asked only while somebody asks us. */
export class PullFeed {
  private readonly watch: WatchPull;
  private readonly clock: Clock;
  private latest: PullBytes | undefined;
  private watching: AbortController | undefined;
  private idle: Timer | undefined;

  constructor(watch: WatchPull, clock: Clock) {
    this.watch = watch;
    this.clock = clock;
  }

  /** What is known now; undefined while nothing is, which is also what the first call finds. */
  ask(): PullBytes | undefined {
    this.idle?.cancel();
    this.idle = this.clock.setTimer(IDLE_MS, () => this.stop());
    if (!this.watching) {
      const watching = new AbortController();
      this.watching = watching;
      const take = (progress: PullBytes): void => {
        if (!watching.signal.aborted) this.latest = progress;
      };
      // Progress is a courtesy: a runtime that cannot tell leaves it unknown.
      this.watch(take, watching.signal).catch(() => {});
    }
    return this.latest;
  }

  stop(): void {
    this.idle?.cancel();
    this.watching?.abort();
    this.watching = undefined;
    this.latest = undefined;
  }
}
