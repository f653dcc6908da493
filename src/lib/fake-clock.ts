import type { Clock, Timer } from './clock.ts';
import { abortReason } from './errors.ts';

interface Pending {
  readonly at: number;
  readonly seq: number;
  readonly callback: () => void;
}

/** A clock that moves only when told to. Timers fire in order of time, then of creation. For unit tests and the simulator. */
export class FakeClock implements Clock {
  private elapsed = 0;
  private seq = 0;
  private pending: Pending[] = [];
  private readonly epoch: number;

  /** @param epoch wall time at the start, ms since the epoch */
  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.epoch = epoch;
  }

  now(): number {
    return this.epoch + this.elapsed;
  }

  monotonic(): number {
    return this.elapsed;
  }

  async turn(): Promise<void> {}

  setTimer(ms: number, callback: () => void): Timer {
    const entry: Pending = { at: this.elapsed + Math.max(0, ms), seq: this.seq++, callback };
    this.pending.push(entry);
    return {
      cancel: () => {
        this.pending = this.pending.filter((p) => p !== entry);
      },
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal));
      const onAbort = (): void => {
        timer.cancel();
        reject(abortReason(signal!));
      };
      const timer = this.setTimer(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.pending.length;
  }

  /** Milliseconds until the next timer, or undefined when none waits. */
  nextTimerMs(): number | undefined {
    const next = this.next();
    return next && next.at - this.elapsed;
  }

  private next(): Pending | undefined {
    return this.pending.reduce<Pending | undefined>(
      (best, p) => (!best || p.at < best.at || (p.at === best.at && p.seq < best.seq) ? p : best),
      undefined,
    );
  }

  /** Lets `ms` pass without firing anything: the process was held up. What fell due fires with the next `advance`. */
  stall(ms: number): void {
    this.elapsed += ms;
  }

  /** Moves time by `ms`, firing what falls due, and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const target = this.elapsed + ms;
    await settle();
    for (let next = this.next(); next && next.at <= target; next = this.next()) {
      this.elapsed = Math.max(this.elapsed, next.at);
      this.pending = this.pending.filter((p) => p !== next);
      next.callback();
      await settle();
    }
    this.elapsed = target;
    await settle();
  }
}

/** Lets every promise that can settle without time passing do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
