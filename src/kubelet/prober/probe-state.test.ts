import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProbeType } from '../ports.ts';
import { initialProbeState, nextProbeState, type ProbeState } from './probe-state.ts';

type Result = 'success' | 'failure' | 'unknown';
const RESULTS: Record<string, Result> = { s: 'success', f: 'failure', u: 'unknown' };

/** Feeds results written as letters; gives the verdicts after each, as letters. */
function verdicts(
  type: ProbeType,
  results: string,
  failureThreshold: number,
  successThreshold: number,
  start?: Result,
) {
  let state = initialProbeState(type, start);
  return [...results]
    .map((letter) => {
      state = nextProbeState(type, { failureThreshold, successThreshold }, state, RESULTS[letter]!);
      return state.verdict[0];
    })
    .join('');
}

describe('probe state', () => {
  it('begins as alive, not ready, and not known to have started', () => {
    expect(initialProbeState('liveness').verdict).toBe('success');
    expect(initialProbeState('readiness').verdict).toBe('failure');
    expect(initialProbeState('startup').verdict).toBe('unknown');
  });

  it.each<[ProbeType, string, number, number, string]>([
    ['readiness', 's', 3, 1, 's'],
    ['readiness', 'ss', 3, 3, 'ff'],
    ['readiness', 'sss', 3, 3, 'ffs'],
    ['readiness', 'ssfsss', 3, 3, 'fffffs'],
    ['readiness', 'sfffs', 3, 1, 'sssfs'],
    ['readiness', 'sffsfff', 3, 1, 'ssssssf'],
    ['readiness', 'sfufuf', 3, 1, 'sssssf'],
    ['readiness', 'suuuuu', 1, 1, 'ssssss'],
    ['liveness', 'ff', 3, 1, 'ss'],
    ['liveness', 'fff', 3, 1, 'ssf'],
    ['liveness', 'uuuuuu', 3, 1, 'ssssss'],
    ['startup', 'ffs', 3, 1, 'uus'],
    ['startup', 'fff', 3, 1, 'uuf'],
    ['startup', 'uuu', 1, 1, 'uuu'],
  ])('%s %s with thresholds %i, %i gives %s', (type, results, failure, success, expected) => {
    expect(verdicts(type, results, failure, success)).toBe(expected);
  });

  it('rests after a liveness failure and after either startup verdict, never for readiness', () => {
    expect(verdicts('liveness', 'fssss', 1, 1)).toBe('fffff');
    expect(verdicts('startup', 'sfff', 1, 1)).toBe('ssss');
    expect(verdicts('startup', 'fsss', 1, 1)).toBe('ffff');
    expect(verdicts('readiness', 'fsfs', 1, 1)).toBe('fsfs');
  });

  it('counts what speaks against the verdict and, of a failure, what led to it', () => {
    const counts = (type: ProbeType, results: string): number[] => {
      let state = initialProbeState(type);
      return [...results].map((letter) => {
        state = nextProbeState(type, { failureThreshold: 2, successThreshold: 2 }, state, RESULTS[letter]!);
        return state.consecutive;
      });
    };
    expect(counts('readiness', 'ffsfsssffuf')).toEqual([1, 2, 1, 1, 1, 0, 0, 1, 2, 2, 3]);
    expect(counts('liveness', 'sfsff')).toEqual([0, 1, 0, 1, 2]);
  });

  it('keeps what was published until enough results contradict it', () => {
    expect(verdicts('readiness', 'fff', 3, 1, 'success')).toBe('ssf');
    expect(initialProbeState('startup', 'success').resting).toBe(true);
  });

  it('never flips before its threshold of equal results in a row, unknown ones left out', () => {
    const letters = fc.array(fc.constantFrom<Result>('success', 'failure', 'unknown'), { maxLength: 40 });
    fc.assert(
      fc.property(
        letters,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (results, failure, success) => {
          let state: ProbeState = initialProbeState('readiness');
          const counted: Result[] = [];
          for (const result of results) {
            const before = state.verdict;
            state = nextProbeState(
              'readiness',
              { failureThreshold: failure, successThreshold: success },
              state,
              result,
            );
            if (result !== 'unknown') counted.push(result);
            const needed = state.verdict === 'success' ? success : failure;
            if (state.verdict !== before) expect(counted.slice(-needed)).toEqual(Array(needed).fill(state.verdict));
            const other = before === 'success' ? 'failure' : 'success';
            const enough = other === 'success' ? success : failure;
            const run = counted.slice(-enough);
            if (run.length === enough && run.every((r) => r === other)) expect(state.verdict).toBe(other);
          }
        },
      ),
    );
  });
});
