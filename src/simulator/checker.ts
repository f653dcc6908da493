import type { Fact } from './fact.ts';
import type { WorldView } from './simulate.ts';

/** Tells of something that must never be, in one sentence. */
export type Report = (message: string) => void;

/**
 * Looks on from outside at what happens, and knows what must hold. One for each run. It sees the runtime's and the API server's own
 * histories, never what the code under test believes.
 */
export interface Checker {
  readonly name: string;
  on?(fact: Fact, report: Report, world: WorldView): void;
  /** The run is over; faults have stopped long ago. */
  end?(report: Report, world: WorldView): void;
}
