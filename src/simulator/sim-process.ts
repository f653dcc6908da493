import type { Clock, Timer } from '../lib/clock.ts';
import { type SimClock, sleepOn } from './sim-clock.ts';

/**
 * One life of our process. All it does to the world goes through its clock and through ports that `gate` wrapped, so that after
 * its death, at any step, nothing of it reaches the world any more, and nothing of the world reaches it: its memory is as good as gone.
 */
export class SimProcess {
  readonly clock: Clock;
  private readonly onDeath: () => void;
  private readonly timers = new Set<Timer>();
  private readonly death = new AbortController();
  private deathStep = Number.POSITIVE_INFINITY;
  private step = 0;

  constructor(clock: SimClock, onDeath: () => void) {
    this.onDeath = onDeath;
    const setTimer = (ms: number, callback: () => void): Timer => this.setTimer(clock, ms, callback);
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      setTimer,
      sleep: (ms, signal) => sleepOn({ setTimer }, ms, signal),
    };
  }

  /** Aborts when it dies: whom it was connected to notices. */
  get deathSignal(): AbortSignal {
    return this.death.signal;
  }

  get alive(): boolean {
    return !this.death.signal.aborted;
  }

  /** As kill -9. */
  kill(): void {
    if (!this.alive) return;
    this.death.abort();
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
    this.onDeath();
  }

  /** Dies at a later step: each call begins with one and ends with one. */
  dieAfter(steps: number): void {
    this.deathStep = this.step + steps;
  }

  /** The port as this process uses it: methods that return promises or async iterables, and nothing else. */
  gate<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => this.pass(() => Reflect.apply(value, target, args));
      },
    });
  }

  /** One call of the world by this process. */
  pass<R>(call: () => R): R {
    if (this.countsAsDead()) return never() as R;
    const result = call();
    return isIterable(result) ? (this.gateIterable(result) as R) : (this.gatePromise(Promise.resolve(result)) as R);
  }

  private gatePromise<T>(promise: Promise<T>): Promise<T> {
    return promise.then(
      (value) => (this.countsAsDead() ? never() : value),
      (error: unknown) => {
        if (this.countsAsDead()) return never();
        throw error;
      },
    );
  }

  private async *gateIterable<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.gatePromise(iterator.next());
        if (done) return;
        yield value;
      }
    } finally {
      void iterator.return?.();
    }
  }

  private countsAsDead(): boolean {
    if (this.alive && ++this.step >= this.deathStep) this.kill();
    return !this.alive;
  }

  private setTimer(clock: SimClock, ms: number, callback: () => void): Timer {
    if (!this.alive) return { cancel() {} };
    const inner = clock.setTimer(ms, () => {
      this.timers.delete(timer);
      callback();
    });
    const timer: Timer = {
      cancel: () => {
        this.timers.delete(timer);
        inner.cancel();
      },
    };
    this.timers.add(timer);
    return timer;
  }
}

/** What a dead process waits for. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
