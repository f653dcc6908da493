import type { Clock } from '../../lib/clock.ts';
import type { Prober } from './attempt.ts';

/** 50 a second, counted over so long that 20 pods which start at once, with the retries of their first second, are not as many. */
const MANY_CHECKS = 500;
const WINDOW_MS = 10_000;

/** The same prober, which calls `onMany`, once, when checks have become many: 500 within 10 s. */
export function noticeMany(prober: Prober, clock: Clock, onMany: () => void): Prober {
  let since = clock.monotonic();
  let count = 0;
  let isNoticed = false;
  return (check) => {
    if (!isNoticed) {
      const now = clock.monotonic();
      if (now - since >= WINDOW_MS) [since, count] = [now, 0];
      isNoticed = ++count >= MANY_CHECKS;
      if (isNoticed) onMany();
    }
    return prober(check);
  };
}
