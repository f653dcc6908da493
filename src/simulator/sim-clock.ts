import type { Clock, Timer } from '../lib/clock.ts';
import { abortReason } from '../lib/errors.ts';

interface Pending {
  readonly at: number;
  readonly seq: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/**
 * Virtual time. Timers fire in order of time, then of creation; between two of them every promise that can settle without time
 * passing does so. Nothing else moves it, so that a run depends on its inputs alone.
 */
export class SimClock implements Clock {
  private elapsed = 0;
  private wallOffset: number;
  private seq = 0;
  /** A binary heap. */
  private readonly heap: Pending[] = [];

  /** @param epoch wall time at the start, ms since the epoch */
  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.wallOffset = epoch;
  }

  now(): number {
    return this.wallOffset + this.elapsed;
  }

  monotonic(): number {
    return this.elapsed;
  }

  setTimer(ms: number, callback: () => void): Timer {
    const entry: Pending = { at: this.elapsed + Math.max(0, ms), seq: this.seq++, callback, cancelled: false };
    this.push(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  async turn(): Promise<void> {}

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /** Somebody set the host's clock. Monotonic time does not notice. */
  jumpWall(ms: number): void {
    this.wallOffset += ms;
  }

  /** Lets time pass until `at` (monotonic ms), with everything that falls due. */
  async runUntil(at: number): Promise<void> {
    await settle();
    for (let next = this.heap[0]; next && next.at <= at; next = this.heap[0]) {
      this.pop();
      if (next.cancelled) continue;
      this.elapsed = next.at;
      next.callback();
      await settle();
    }
    this.elapsed = Math.max(this.elapsed, at);
  }

  /** As `runUntil`, from now. */
  advance(ms: number): Promise<void> {
    return this.runUntil(this.elapsed + ms);
  }

  private push(entry: Pending): void {
    const { heap } = this;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (isBefore(heap[parent]!, entry)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** `Clock.sleep` made of `setTimer`. */
export function sleepOn(clock: Pick<Clock, 'setTimer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortReason(signal));
    const onAbort = (): void => {
      timer.cancel();
      reject(abortReason(signal!));
    };
    const timer = clock.setTimer(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function isBefore(a: Pending, b: Pending): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}

/** An immediate comes after all microtasks, and in a simulation there is nothing else to wait for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
