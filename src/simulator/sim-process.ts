import type { Clock, Timer } from '../lib/clock.ts';
import { type SimClock, sleepOn } from './sim-clock.ts';

export interface SimProcessOptions {
  readonly clock: SimClock;
  /** @param at where it was: before or after which call; undefined: between two of them */
  readonly onDeath: (at: string | undefined) => void;
  /** So many steps without time passing are no progress any more: it is killed. Default: any number is fine. */
  readonly stepsAtOnce?: number;
  readonly onStandstill?: (at: string) => void;
}

/**
 * One life of our process. All it does to the world goes through its clock and through ports that `gate` wrapped, so that after
 * its death, at any step, nothing of it reaches the world any more, and nothing of the world reaches it: its memory is as good as gone.
 */
export class SimProcess {
  readonly clock: Clock;
  private readonly options: SimProcessOptions;
  private readonly timers = new Set<Timer>();
  private readonly death = new AbortController();
  private deathStep = Number.POSITIVE_INFINITY;
  /** The name of the step at which it dies. */
  private deathPlace: string | undefined;
  private step = 0;
  /** Steps since time passed last. */
  private stepsNow = 0;
  private lastStepAt = -1;

  constructor(options: SimProcessOptions) {
    this.options = options;
    const { clock } = options;
    const setTimer = (ms: number, callback: () => void): Timer => this.setTimer(clock, ms, callback);
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      turn: () => clock.turn(),
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

  /** As kill -9. @param at see `SimProcessOptions.onDeath` */
  kill(at?: string): void {
    if (!this.alive) return;
    this.death.abort();
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
    this.options.onDeath(at);
  }

  /** Dies at a later step: each call begins with one and ends with one. */
  dieAfter(steps: number): void {
    this.deathStep = this.step + steps;
  }

  /** Dies at the next step that is called so: `before` or `after` the name of a call. */
  dieAt(place: string): void {
    this.deathPlace = place;
  }

  /** The port as this process uses it: methods that return promises or async iterables, and nothing else. */
  gate<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => this.pass(String(name), () => Reflect.apply(value, target, args));
      },
    });
  }

  /** One call of the world by this process. */
  pass<R>(name: string, call: () => R): R {
    if (this.countsAsDead(`before ${name}`)) return never() as R;
    const result = call();
    if (isIterable(result)) return this.gateIterable(name, result) as R;
    return this.gatePromise(name, Promise.resolve(result)) as R;
  }

  private gatePromise<T>(name: string, promise: Promise<T>): Promise<T> {
    const at = `after ${name}`;
    return promise.then(
      (value) => (this.countsAsDead(at) ? never() : value),
      (error: unknown) => {
        if (this.countsAsDead(at)) return never();
        throw error;
      },
    );
  }

  private async *gateIterable<T>(name: string, items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.gatePromise(name, iterator.next());
        if (done) return;
        yield value;
      }
    } finally {
      void iterator.return?.();
    }
  }

  private countsAsDead(at: string): boolean {
    if (!this.alive) return true;
    const { clock, stepsAtOnce = Number.POSITIVE_INFINITY, onStandstill } = this.options;
    const now = clock.monotonic();
    if (now !== this.lastStepAt) this.stepsNow = 0;
    this.lastStepAt = now;
    if (++this.stepsNow > stepsAtOnce) {
      onStandstill?.(at);
      this.kill(at);
    } else if (++this.step >= this.deathStep || at === this.deathPlace) this.kill(at);
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
