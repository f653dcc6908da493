import { describe, expect, it } from 'vitest';
import { type BackOffPolicy, backOffRemainingMs, bumpBackOff } from './back-off.ts';

const POLICY: BackOffPolicy = { initialMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 };

describe('back-off', () => {
  it('the first retry is immediate; the delay counts from the failure', () => {
    expect(backOffRemainingMs(undefined, 5000, 5000, POLICY)).toBe(0);
    const entry = bumpBackOff(undefined, 5000, 5000, POLICY);
    expect(entry).toEqual({ delayMs: 10_000, bumpedAt: 5000 });
    expect(backOffRemainingMs(entry, 6000, 6000, POLICY)).toBe(10_000);
    expect(backOffRemainingMs(entry, 6000, 15_999, POLICY)).toBe(1);
    expect(backOffRemainingMs(entry, 6000, 16_000, POLICY)).toBe(0);
  });

  it('doubles up to the ceiling', () => {
    let entry = bumpBackOff(undefined, 0, 0, POLICY);
    const delays = [entry.delayMs];
    for (let i = 0; i < 6; i++) {
      entry = bumpBackOff(entry, 1, 1, POLICY);
      delays.push(entry.delayMs);
    }
    expect(delays).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  it('a ceiling below the start lowers the start', () => {
    expect(bumpBackOff(undefined, 0, 0, { ...POLICY, maxMs: 1000 }).delayMs).toBe(1000);
  });

  it('is forgotten when all went well for more than ten minutes', () => {
    const entry = { delayMs: 160_000, bumpedAt: 1000 };
    expect(backOffRemainingMs(entry, 601_000, 601_000, POLICY)).toBe(160_000);
    expect(backOffRemainingMs(entry, 601_001, 601_001, POLICY)).toBe(0);
    expect(bumpBackOff(entry, 601_001, 601_001, POLICY).delayMs).toBe(10_000);
  });
});
