import { expect, test } from 'vitest';
import { goDuration, parseDuration } from './go-duration.ts';

test.each([
  [0, '0s'],
  [0.9, '0s'],
  [62.7, '62ms'],
  [1000, '1s'],
  [1234, '1.234s'],
  [60_000, '1m0s'],
  [105_457, '1m45.457s'],
  [3_600_000, '1h0m0s'],
])('%f ms is %s', (ms, text) => {
  expect(goDuration(ms)).toBe(text);
});

test.each([
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['10', undefined],
  ['5 s', undefined],
  ['', undefined],
  ['-5s', undefined],
])('the duration %j is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});
