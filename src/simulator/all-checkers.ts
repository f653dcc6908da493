import type { Checker } from './checker.ts';
import { acknowledgedWrites } from './checkers/acknowledged-writes.ts';
import { backOff } from './checkers/back-off.ts';
import { endpoints } from './checkers/endpoints.ts';
import { eventually } from './checkers/eventually.ts';
import { grace } from './checkers/grace.ts';
import { initOrder } from './checkers/init-order.ts';
import { leftovers } from './checkers/leftovers.ts';
import { noBugs } from './checkers/no-bugs.ts';
import { restartCounts } from './checkers/restart-counts.ts';
import { singleInstance } from './checkers/single-instance.ts';
import { truthfulStatus } from './checkers/truthful-status.ts';
import { watchStreams } from './checkers/watch-streams.ts';

/** Everything that must hold whatever happens; new ones for each run. */
export function allCheckers(): Checker[] {
  return [
    initOrder(),
    singleInstance(),
    restartCounts(),
    backOff(),
    grace(),
    leftovers(),
    acknowledgedWrites(),
    watchStreams(),
    truthfulStatus(),
    endpoints(),
    noBugs(),
    eventually(),
  ];
}
