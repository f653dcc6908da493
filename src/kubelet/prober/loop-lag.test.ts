import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { LoopLag } from './loop-lag.ts';

describe('loop lag', () => {
  it('is zero while timers fire in time, and costs no timer when nothing is measured', async () => {
    const clock = new FakeClock();
    const lag = new LoopLag(clock);
    const end = lag.begin();
    await clock.advance(1000);
    expect(end()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('sees a stall that was ticked off, and one that was not', async () => {
    const clock = new FakeClock();
    const lag = new LoopLag(clock);
    const first = lag.begin();
    const second = lag.begin();
    await clock.advance(100);
    clock.stall(300);
    expect(first()).toBeGreaterThanOrEqual(280);
    await clock.advance(100);
    clock.stall(500);
    const total = second();
    expect(total).toBeGreaterThanOrEqual(760);
    expect(total).toBeLessThanOrEqual(800);
  });

  it('does not count a stall from before the measurement', async () => {
    const clock = new FakeClock();
    const lag = new LoopLag(clock);
    const outer = lag.begin();
    clock.stall(400);
    const inner = lag.begin();
    await clock.advance(50);
    expect(inner()).toBeLessThan(30);
    expect(outer()).toBeGreaterThan(370);
  });
});
