import { expect, test } from 'vitest';
import { type Backend, clientErrors } from './client-errors.ts';

const backend = (routed: readonly [number, number][], serving: readonly [number, number][]): Backend => {
  const intervals = (list: readonly [number, number][]) => list.map(([fromMs, toMs]) => ({ fromMs, toMs }));
  return { routed: intervals(routed), serving: intervals(serving) };
};

test.each<[string, Backend[], unknown]>([
  ['nobody there', [], { errors: [], errorMs: 0 }],
  ['never well', [backend([[10, 100]], [])], { errors: [], errorMs: 0 }],
  ['well from 20 on', [backend([[20, 100]], [[5, 100]])], { servedAtMs: 20, errors: [], errorMs: 0 }],
  [
    'ill before it is left out, then nobody, then back',
    [
      backend(
        [
          [10, 50],
          [80, 100],
        ],
        [
          [0, 40],
          [60, 100],
        ],
      ),
    ],
    { servedAtMs: 10, errors: [{ fromMs: 40, toMs: 80, share: 1 }], errorMs: 40 },
  ],
  [
    'one of two is ill until it is left out',
    [backend([[0, 100]], [[0, 100]]), backend([[0, 60]], [[0, 40]])],
    { servedAtMs: 0, errors: [{ fromMs: 40, toMs: 60, share: 0.5 }], errorMs: 10 },
  ],
  [
    'still ill at the end',
    [backend([[0, 200]], [[0, 40]])],
    { servedAtMs: 0, errors: [{ fromMs: 40, toMs: 100, share: 1 }], errorMs: 60 },
  ],
])('%s', (_, backends, expected) => {
  expect(clientErrors(backends, 100)).toEqual(expected);
});
