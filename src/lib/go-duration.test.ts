import { expect, test } from 'vitest';
import { goDuration } from './go-duration.ts';

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
