import { expect, it, vi } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { AttemptInput } from './attempt.ts';
import { noticeMany } from './many-checks.ts';

const attempt = { outcome: 'success', output: '' } as const;
const check = { containerId: 'c' } as AttemptInput;

it('notices, once, that checks are many, and passes each on', async () => {
  const clock = new FakeClock();
  const prober = vi.fn(async () => attempt);
  const onMany = vi.fn();
  const counted = noticeMany(prober, clock, onMany);
  // 49 a second are not many, however long.
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 49; i++) expect(await counted(check)).toBe(attempt);
    await clock.advance(1000);
  }
  expect(onMany).not.toHaveBeenCalled();
  expect(prober).toHaveBeenCalledTimes(60 * 49);
  expect(prober).toHaveBeenLastCalledWith(check);
  for (let i = 0; i < 2000; i++) await counted(check);
  expect(onMany).toHaveBeenCalledTimes(1);
  expect(prober).toHaveBeenCalledTimes(60 * 49 + 2000);
});
