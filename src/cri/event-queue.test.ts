import { expect, it } from 'vitest';
import { EventQueue } from './event-queue.ts';

async function readAll(queue: EventQueue<number>, into: number[]): Promise<void> {
  for await (const n of queue) into.push(n);
}

it('gives what was pushed in order, also what comes while it is read, and ends', async () => {
  const queue = new EventQueue<number>(new AbortController().signal);
  queue.push(1);
  queue.push(2);
  const seen: number[] = [];
  const reading = readAll(queue, seen);
  await Promise.resolve();
  queue.push(3);
  await Promise.resolve();
  queue.end();
  queue.push(4);
  await reading;
  expect(seen).toEqual([1, 2, 3]);
});

it('ends without an error when the signal aborts, while waiting and between two', async () => {
  const waiting = new AbortController();
  const reading = readAll(new EventQueue(waiting.signal), []);
  waiting.abort();
  await reading;

  const between = new AbortController();
  const queue = new EventQueue<number>(between.signal);
  queue.push(1);
  queue.push(2);
  const seen: number[] = [];
  for await (const n of queue) {
    seen.push(n);
    between.abort();
  }
  expect(seen).toEqual([1]);
});
