import { expect, test } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { type PullBytes, PullFeed } from './pull-feed.ts';

test('watches the runtime only while somebody asks, and begins anew after that', async () => {
  const clock = new FakeClock();
  const watches: { tell: (p: PullBytes) => void; signal: AbortSignal }[] = [];
  const feed = new PullFeed(async (tell, signal) => void watches.push({ tell, signal }), clock);
  expect(feed.ask()).toBeUndefined();
  watches[0]!.tell({ doneBytes: 1, totalBytes: 2 });
  await clock.advance(2000);
  expect(feed.ask()).toEqual({ doneBytes: 1, totalBytes: 2 });
  await clock.advance(2900);
  expect([watches.length, watches[0]!.signal.aborted]).toEqual([1, false]);
  await clock.advance(200);
  expect(watches[0]!.signal.aborted).toBe(true);
  // A report that comes late is no news of the next pull.
  watches[0]!.tell({ doneBytes: 9, totalBytes: 9 });
  expect(feed.ask()).toBeUndefined();
  expect(watches).toHaveLength(2);
  feed.stop();
  expect([watches[1]!.signal.aborted, clock.pendingTimers]).toEqual([true, 0]);
});

test('a runtime that cannot tell leaves it unknown', async () => {
  const feed = new PullFeed(async () => {
    throw new Error('no');
  }, new FakeClock());
  expect(feed.ask()).toBeUndefined();
  feed.stop();
});
