import { expect, it } from 'vitest';
import { PullSum } from './pull-progress.ts';

const status = (ref: string, offset: bigint, total: bigint) => ({ ref, offset, total });

it('adds up transfers, and counts one that is gone as finished', () => {
  const sum = new PullSum();
  expect(sum.add([])).toEqual({ doneBytes: 0, totalBytes: 0 });
  expect(sum.add([status('manifest', 100n, 400n)])).toEqual({ doneBytes: 100, totalBytes: 400 });
  expect(sum.add([status('layer', 0n, 5000n), status('config', 10n, 0n)])).toEqual({
    doneBytes: 410,
    totalBytes: 5410,
  });
  expect(sum.add([status('layer', 2500n, 5000n)])).toEqual({ doneBytes: 2910, totalBytes: 5410 });
  expect(sum.add([])).toEqual({ doneBytes: 5410, totalBytes: 5410 });
});
