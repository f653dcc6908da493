import { expect, test } from 'vitest';
import { humanDuration, latency, parseDuration, timeLeft } from './duration.ts';

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test.each([
  [-5 * S, '<invalid>'],
  [-1 * S, '0s'],
  [0, '0s'],
  [999, '0s'],
  [5 * S, '5s'],
  [119 * S, '119s'],
  [2 * M, '2m'],
  [2 * M + 3 * S, '2m3s'],
  [9 * M + 59 * S, '9m59s'],
  [10 * M + 3 * S, '10m'],
  [179 * M, '179m'],
  [3 * H, '3h'],
  [3 * H + 20 * M, '3h20m'],
  [8 * H + 20 * M, '8h'],
  [47 * H, '47h'],
  [2 * D + 4 * H, '2d4h'],
  [8 * D + 4 * H, '8d'],
  [729 * D, '729d'],
  [731 * D, '2y1d'],
  [9 * 365 * D, '9y'],
])('%d ms is shown as %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

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
