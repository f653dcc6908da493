import { createHook } from 'node:async_hooks';
import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import dns from 'node:dns';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import timers from 'node:timers';

/** What a simulation may wait for: promises, and the clock's own immediates. */
const ALLOWED = new Set(['PROMISE', 'Immediate', 'Microtask', 'TickObject']);

type Functions = Record<string, unknown>;

/** Functions that look at the real world: of these objects all that `isReal` says. */
const REAL: readonly (readonly [name: string, object: object, isReal: (name: string) => boolean])[] = [
  ['Math', Math, (name) => name === 'random'],
  ['performance', performance, (name) => name === 'now'],
  ['process', process, (name) => ['hrtime', 'uptime', 'cpuUsage', 'memoryUsage'].includes(name)],
  ['AbortSignal', AbortSignal, (name) => name === 'timeout'],
  ['globalThis', globalThis, (name) => ['setTimeout', 'setInterval', 'fetch'].includes(name)],
  ['timers', timers, (name) => ['setTimeout', 'setInterval'].includes(name)],
  ['crypto', crypto, (name) => /^(random|generate|getRandom)/.test(name)],
  ['crypto', globalThis.crypto, (name) => /^(random|getRandom)/.test(name)],
  ['fs', fs, (name) => /^[a-z]/.test(name)],
  ['fs.promises', fs.promises, (name) => /^[a-z]/.test(name)],
  ['net', net, (name) => ['connect', 'createConnection', 'createServer'].includes(name)],
  ['http', http, (name) => ['get', 'request', 'createServer'].includes(name)],
  ['https', https, (name) => ['get', 'request', 'createServer'].includes(name)],
  ['dns', dns, (name) => /^(lookup|resolve|reverse)/.test(name)],
  ['dgram', dgram, (name) => name === 'createSocket'],
  ['child_process', childProcess, (name) => /^(exec|spawn|fork)/.test(name)],
  ['os', os, (name) => /^[a-z]/.test(name)],
];

/**
 * Notes whatever time, randomness or I/O of the real world our sources ask for while it watches: a simulation that uses any of it
 * cannot be repeated.
 * `taken` tells what has been noted since it was asked last; `stop` ends it, and tells the rest.
 * @param options.everything notes I/O of every kind when it is begun, however it was asked for. Costly.
 */
export function watchForLeaks({ everything = false } = {}): { taken(): string[]; stop(): string[] } {
  const leaks = new Set<string>();
  // The test runner and Node itself have their own lives.
  const note = (what: string): void => {
    if (new Error().stack?.includes('/src/')) leaks.add(what);
  };
  const undo = REAL.flatMap(([name, object, isReal]) => watchFunctions(name, object, isReal, note));
  const realDate = globalThis.Date;
  globalThis.Date = watchedDate(note);
  syncBuiltinESMExports();
  const hook = createHook({
    init(_id, type) {
      if (!ALLOWED.has(type)) note(`I/O: ${type}`);
    },
  });
  if (everything) hook.enable();
  const taken = (): string[] => {
    const found = [...leaks];
    leaks.clear();
    return found;
  };
  return {
    taken,
    stop: () => {
      hook.disable();
      globalThis.Date = realDate;
      for (const restore of undo) restore();
      syncBuiltinESMExports();
      return taken();
    },
  };
}

function watchFunctions(
  of: string,
  object: object,
  isReal: (name: string) => boolean,
  note: (what: string) => void,
): (() => void)[] {
  const functions = object as Functions;
  const names = new Set([...Object.keys(functions), ...Object.getOwnPropertyNames(Object.getPrototypeOf(object))]);
  for (const name of Object.getOwnPropertyNames(object)) names.add(name);
  return [...names].filter(isReal).flatMap((name) => {
    const own = Object.getOwnPropertyDescriptor(functions, name);
    const real = functions[name];
    if (typeof real !== 'function' || own?.get || own?.configurable === false) return [];
    const watched = new Proxy(real, {
      apply: (target, self, args) => {
        note(`${of}.${name}`);
        return Reflect.apply(target, self, args) as unknown;
      },
    });
    Object.defineProperty(functions, name, { configurable: true, writable: true, enumerable: true, value: watched });
    const restore = (): void => {
      if (own) Object.defineProperty(functions, name, own);
      else delete functions[name];
    };
    return [restore];
  });
}

/** `Date`, which may be given a time, but not asked for it. */
function watchedDate(note: (what: string) => void): DateConstructor {
  return new Proxy(globalThis.Date, {
    construct: (target, args: unknown[], self) => {
      if (args.length === 0) note('new Date()');
      return Reflect.construct(target, args, self) as object;
    },
    apply: (target, self, args) => {
      note('Date()');
      return Reflect.apply(target, self, args) as string;
    },
    get: (target, name, receiver) => {
      if (name === 'now') note('Date.now');
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
}
