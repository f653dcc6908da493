import type { Clock, Timer } from '../../lib/clock.ts';

/** How often a tick checks that the process still gets its turn. A stall is measured this much too short at worst. */
const TICK_MS = 20;
/** A tick this late is the host's ordinary jitter. */
const JITTER_MS = 20;

/**
 * Measures for how long this process did not get to run (a busy event loop, an overloaded host, a SIGSTOP) while something
 * was going on. Ticks only while a measurement is open, so it costs nothing at rest.
 */
export class LoopLag {
  private readonly clock: Clock;
  private timer: Timer | undefined;
  private expectedAt = 0;
  private stalledMs = 0;
  private open = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Begins a measurement. The function returned ends it (once) and says for how many milliseconds the process stalled. */
  begin(): () => number {
    if (this.open++ === 0) this.arm();
    const before = this.stalled();
    return () => {
      const lag = this.stalled() - before;
      if (--this.open === 0) this.timer?.cancel();
      return lag;
    };
  }

  private arm(): void {
    this.expectedAt = this.clock.monotonic() + TICK_MS;
    this.timer = this.clock.setTimer(TICK_MS, () => {
      this.stalledMs = this.stalled();
      this.arm();
    });
  }

  /** All stalls so far, one that has not been ticked off yet included. */
  private stalled(): number {
    const late = this.clock.monotonic() - this.expectedAt;
    return this.stalledMs + (late > JITTER_MS ? late : 0);
  }
}
