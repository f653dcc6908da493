/** How much is measured. */
export interface Plan {
  /** Rounds in which each start is sampled by turns, and how many more before them to warm caches. */
  readonly rounds: number;
  readonly warmUps: number;
  /**
   * How often a round asks kubelette and the bare calls. They are told apart by a few milliseconds where single samples spread by
   * fifteen, so that their medians need more of them than those of others.
   */
  readonly closely: number;
  readonly crowds: readonly number[];
  /** Ours alone: how the agent's use grows from the first to the last. `crowds` are measured anyway. */
  readonly growth: readonly number[];
  /** Between the last change and the measurement. */
  readonly settleSeconds: number;
  /** As long with the largest of the crowds, so that what is compared there is how agents run from then on. */
  readonly warmSeconds: number;
  /** Over which use of the processor is measured. */
  readonly windowSeconds: number;
  readonly manyProbes: { readonly pods: number; readonly containers: number };
  readonly containers: readonly number[];
  readonly objects: readonly number[];
  readonly writes: number;
  readonly services: readonly number[];
  readonly flips: number;
  readonly nodeStarts: number;
}

/** What `make bench` does, in 15 minutes. */
export const FULL: Plan = {
  rounds: 5,
  warmUps: 1,
  closely: 3,
  crowds: [20, 110],
  growth: [10, 50, 250],
  settleSeconds: 3,
  warmSeconds: 25,
  windowSeconds: 10,
  manyProbes: { pods: 25, containers: 20 },
  containers: [1, 5, 20],
  objects: [1, 100, 5000],
  writes: 300,
  services: [10, 1000],
  flips: 200,
  nodeStarts: 4,
};

/** What `make bench-quick` does: all of it, but few, to see that it works. */
export const QUICK: Plan = {
  rounds: 1,
  warmUps: 0,
  closely: 1,
  crowds: [2, 5],
  growth: [],
  settleSeconds: 1,
  warmSeconds: 1,
  windowSeconds: 1,
  manyProbes: { pods: 2, containers: 3 },
  containers: [1, 3],
  objects: [1, 50],
  writes: 20,
  services: [3, 20],
  flips: 20,
  nodeStarts: 1,
};
