import { expect, test } from 'vitest';
import { humanDuration } from './human-duration.ts';

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const Y = 365 * D;

// Pairs from the table of k8s.io/apimachinery/pkg/util/duration.
test.each<[number, string]>([
  [-2 * S, '<invalid>'],
  [-1.5 * S, '0s'],
  [0, '0s'],
  [999, '0s'],
  [119 * S, '119s'],
  [2 * M, '2m'],
  [2 * M + S, '2m1s'],
  [9 * M + 59 * S, '9m59s'],
  [10 * M + 59 * S, '10m'],
  [3 * H - S, '179m'],
  [3 * H, '3h'],
  [3 * H + M, '3h1m'],
  [8 * H + 59 * M, '8h'],
  [47 * H, '47h'],
  [2 * D, '2d'],
  [2 * D + 23 * H, '2d23h'],
  [8 * D + 23 * H, '8d'],
  [2 * Y - H, '729d'],
  [2 * Y, '2y'],
  [2 * Y + D, '2y1d'],
  [8 * Y + 300 * D, '8y'],
])('%d ms is %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});
