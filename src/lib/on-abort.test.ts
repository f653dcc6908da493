import { expect, it } from 'vitest';
import { onAbort } from './on-abort.ts';

it('calls everybody who still waits, once', () => {
  const controller = new AbortController();
  const called: string[] = [];
  onAbort(controller.signal, () => called.push('first'));
  const forget = onAbort(controller.signal, () => called.push('second'));
  onAbort(controller.signal, () => called.push('third'));
  forget();
  controller.abort();
  controller.abort();
  expect(called).toEqual(['first', 'third']);
});

it('gives a place that is free to the next, which its former holder no longer ends', () => {
  const controller = new AbortController();
  const called: string[] = [];
  const forget = onAbort(controller.signal, () => called.push('first'));
  forget();
  onAbort(controller.signal, () => called.push('second'));
  forget();
  controller.abort();
  expect(called).toEqual(['second']);
});
