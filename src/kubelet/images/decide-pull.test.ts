import { expect, test } from 'vitest';
import type { BackOffEntry } from '../../lib/back-off.ts';
import { afterFailure, decidePull, type PullDecision, type PullPolicy } from './decide-pull.ts';

const failed: BackOffEntry = { delayMs: 10_000, bumpedAt: 1_000 };

test.each<[PullPolicy, boolean, BackOffEntry | undefined, number, PullDecision]>([
  ['IfNotPresent', true, undefined, 0, { action: 'use' }],
  ['IfNotPresent', true, failed, 2_000, { action: 'use' }],
  ['IfNotPresent', false, undefined, 0, { action: 'pull' }],
  ['IfNotPresent', false, failed, 10_999, { action: 'backOff', until: 11_000 }],
  ['IfNotPresent', false, failed, 11_000, { action: 'pull' }],
  ['Always', true, undefined, 0, { action: 'pull' }],
  ['Always', true, failed, 2_000, { action: 'backOff', until: 11_000 }],
  ['Never', true, undefined, 0, { action: 'use' }],
  ['Never', false, undefined, 0, { action: 'refuse' }],
  ['Never', false, failed, 2_000, { action: 'refuse' }],
])('%s, present %s, back-off %o, at %i', (policy, present, backOff, now, decision) => {
  expect(decidePull(policy, present, backOff, now)).toEqual(decision);
});

test('the delay doubles from 10 s to 300 s', () => {
  let backOff: BackOffEntry | undefined;
  const delays: number[] = [];
  for (let now = 0; delays.length < 7; now += delays.at(-1)!) {
    backOff = afterFailure(backOff, now);
    delays.push(backOff.delayMs);
  }
  expect(delays).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
});

test('a failure after a long time counts as the first', () => {
  const old: BackOffEntry = { delayMs: 300_000, bumpedAt: 0 };
  expect(afterFailure(old, 600_000).delayMs).toBe(300_000);
  expect(afterFailure(old, 600_001).delayMs).toBe(10_000);
});
