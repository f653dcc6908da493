import { expect, test } from 'vitest';
import { latency, timeLeft } from './duration.ts';

test('what lies ahead is rounded up and never nothing', () => {
  expect(timeLeft(1)).toBe('1s');
  expect(timeLeft(-300)).toBe('1s');
  expect(timeLeft(4100)).toBe('5s');
});

test.each([
  [0.25, '250us'],
  [12.4, '12ms'],
  [1234, '1.2s'],
])('a latency of %d ms is shown as %s', (ms, text) => {
  expect(latency(ms)).toBe(text);
});
