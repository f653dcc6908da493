/** What waits for each signal; `undefined` where something no longer does. */
const waiting = new WeakMap<AbortSignal, ((() => void) | undefined)[]>();

/**
 * Calls `callback` when the signal aborts; one that has aborted already calls nobody. A signal has one listener of ours however often it is
 * asked for, since Node takes more time to add and remove one than a check of a probe can spare.
 * @returns calls it no more
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = waiting.get(signal) ?? listenTo(signal);
  // A place that is free is taken again: neither a Set nor a list that shrinks keeps its memory when its last one leaves.
  const free = callbacks.indexOf(undefined);
  const place = free < 0 ? callbacks.length : free;
  callbacks[place] = callback;
  return () => {
    if (callbacks[place] === callback) callbacks[place] = undefined;
  };
}

function listenTo(signal: AbortSignal): ((() => void) | undefined)[] {
  const callbacks: ((() => void) | undefined)[] = [];
  waiting.set(signal, callbacks);
  const callAll = (): void => {
    for (const callback of callbacks) callback?.();
  };
  signal.addEventListener('abort', callAll, { once: true });
  return callbacks;
}
