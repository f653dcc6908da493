import { expect, it } from 'vitest';
import { SimClock } from './sim-clock.ts';

it('fires timers in order of time, then of creation, with promises settled in between', async () => {
  const clock = new SimClock();
  const log: string[] = [];
  const note = (text: string) => (): void => {
    log.push(`${clock.monotonic()} ${text}`);
    void Promise.resolve()
      .then(() => {})
      .then(() => log.push(`then ${text}`));
  };
  clock.setTimer(20, note('c'));
  clock.setTimer(10, note('a'));
  clock.setTimer(10, note('b'));
  const cancelled = clock.setTimer(15, note('never'));
  cancelled.cancel();
  clock.setTimer(30, note('later'));
  await clock.runUntil(25);
  expect(log).toEqual(['10 a', 'then a', '10 b', 'then b', '20 c', 'then c']);
  expect(clock.monotonic()).toBe(25);
});

it('keeps hundreds of timers in order', async () => {
  const clock = new SimClock();
  const fired: number[] = [];
  for (let i = 0; i < 500; i++) {
    const at = (i * 7919) % 1000;
    clock.setTimer(at, () => fired.push(at));
  }
  await clock.runUntil(1000);
  expect(fired).toEqual(fired.toSorted((a, b) => a - b));
  expect(fired).toHaveLength(500);
});

it('lets the wall clock jump, and nothing else with it', async () => {
  const clock = new SimClock(1_000_000);
  let fired = false;
  clock.setTimer(100, () => {
    fired = true;
  });
  clock.jumpWall(3_600_000);
  expect(clock.now()).toBe(4_600_000);
  await clock.runUntil(99);
  expect(fired).toBe(false);
  await clock.runUntil(100);
  expect(fired).toBe(true);
});

it('sleeps until it is aborted', async () => {
  const clock = new SimClock();
  const abort = new AbortController();
  const slept = clock.sleep(1000, abort.signal).then(
    () => 'slept',
    (error: Error) => error.name,
  );
  clock.setTimer(10, () => abort.abort());
  await clock.runUntil(20);
  expect(await slept).toBe('AbortError');
});
