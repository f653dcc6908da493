import { describe, expect, it } from 'vitest';
import { gridOrigin, nextCheckAt, probeSettings } from './probe-schedule.ts';

describe('probe schedule', () => {
  it('takes 0 and absence as the defaults', () => {
    const defaults = {
      initialDelayMs: 0,
      periodMs: 10_000,
      timeoutMs: 1000,
      successThreshold: 1,
      failureThreshold: 3,
    };
    expect(probeSettings({})).toEqual(defaults);
    expect(probeSettings({ periodSeconds: 0, timeoutSeconds: 0, successThreshold: 0, failureThreshold: 0 })).toEqual(
      defaults,
    );
  });

  it('counts the initial delay from the start of the container, or from the startup verdict when that is later', () => {
    const settings = probeSettings({ initialDelaySeconds: 3 });
    expect(gridOrigin(1000, settings, undefined)).toBe(4000);
    expect(gridOrigin(1000, settings, 2000)).toBe(4000);
    expect(gridOrigin(1000, settings, 9000)).toBe(9000);
  });

  // origin 100, period 1000
  it.each([
    { what: 'first check in time', last: undefined, now: 0, next: 100 },
    { what: 'first check missed long ago (adopted)', last: undefined, now: 3500, next: 4100 },
    { what: 'a quick check', last: 100, now: 103, next: 1100 },
    { what: 'a timer that fired late does not shift the grid', last: 1100, now: 1190, next: 2100 },
    { what: 'a check that took two and a half periods skips two', last: 1100, now: 3600, next: 4100 },
    { what: 'a check that ended a moment after the next was due does not skip it', last: 1100, now: 2102, next: 2100 },
    { what: 'never the same instant twice', last: 2100, now: 2100, next: 3100 },
  ])('$what', ({ last, now, next }) => {
    expect(nextCheckAt(100, 1000, last, now)).toBe(next);
  });

  it('skips nothing because times are fractions of a millisecond', () => {
    const origin = 62267.02596196424;
    expect(Math.ceil((origin + 5000 - origin) / 5000)).toBe(2);
    expect(nextCheckAt(origin, 5000, origin, origin + 3)).toBeCloseTo(origin + 5000);
  });
});
