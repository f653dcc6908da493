import { setTimeout as delay } from 'node:timers/promises';

/** A pending call that can be cancelled. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * All time in kubelette. Wall time is for API timestamps only; time-outs, probe cadence and back-off use monotonic time,
 * so that a clock that jumps neither kills nor starves anything. A constructor argument everywhere, with no default,
 * so that the simulator runs the production code.
 */
export interface Clock {
  /** Wall time, milliseconds since the epoch. */
  now(): number;
  /** Monotonic time in milliseconds; its zero means nothing. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason (an AbortError) when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Resolves in the next turn of the event loop, when all that is due now has been done and what it sends is on its way. For work that
   * nobody waits for.
   */
  turn(): Promise<void>;
  /** Calls `callback` once, `ms` milliseconds from now. A timer keeps the process alive. */
  setTimer(ms: number, callback: () => void): Timer;
}

/** setTimeout takes at most 2^31-1 ms and fires at once beyond that; later timers are chained. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** The host's clock. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await delay(Math.min(ms, MAX_TIMEOUT_MS), undefined, signal ? { signal } : {});
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  setTimer(ms: number, callback: () => void): Timer {
    return new SystemTimer(Math.max(0, ms), callback);
  }
}

class SystemTimer implements Timer {
  private handle: NodeJS.Timeout;

  constructor(ms: number, callback: () => void) {
    this.handle = this.arm(ms, callback);
  }

  cancel(): void {
    clearTimeout(this.handle);
  }

  private arm(ms: number, callback: () => void): NodeJS.Timeout {
    if (ms <= MAX_TIMEOUT_MS) return setTimeout(callback, ms);
    return setTimeout(() => {
      this.handle = this.arm(ms - MAX_TIMEOUT_MS, callback);
    }, MAX_TIMEOUT_MS);
  }
}
