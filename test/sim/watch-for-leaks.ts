import { createHook } from 'node:async_hooks';

/** What a simulation may wait for: promises, and the clock's own immediates. */
const ALLOWED = new Set(['PROMISE', 'Immediate', 'Microtask', 'TickObject']);

/**
 * Notes whatever time, randomness or I/O of the real world is asked for while it watches: a simulation that uses any of it cannot be
 * repeated. Costly; for tests.
 */
export function watchForLeaks(): { stop(): string[] } {
  const leaks = new Set<string>();
  // The test runner has its own life.
  const note = (what: string): void => {
    if (new Error().stack?.includes('/src/')) leaks.add(what);
  };
  const hook = createHook({
    init(_id, type) {
      if (!ALLOWED.has(type)) note(`I/O: ${type}`);
    },
  });
  const realDate = globalThis.Date;
  const realRandom = Math.random;
  const realNow = performance.now;
  globalThis.Date = new Proxy(realDate, {
    construct: (target, args: unknown[]) => {
      if (args.length === 0) note('new Date()');
      return Reflect.construct(target, args) as object;
    },
    get: (target, name, receiver) => {
      if (name === 'now') note('Date.now');
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
  Math.random = () => {
    note('Math.random');
    return realRandom();
  };
  performance.now = () => {
    note('performance.now');
    return realNow.call(performance);
  };
  hook.enable();
  return {
    stop: () => {
      hook.disable();
      globalThis.Date = realDate;
      Math.random = realRandom;
      performance.now = realNow;
      return [...leaks];
    },
  };
}
