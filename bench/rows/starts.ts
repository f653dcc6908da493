import type { BareCri } from '../contenders/bare-cri.ts';
import { Cannot, type Contender, type Starts } from '../contenders/contender.ts';
import type { Kubelette } from '../contenders/kubelette.ts';
import { byTurns, type Summary, within } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { idlePod, isRunning } from '../pods.ts';
import { type Cell, type Floor, Row } from '../row.ts';

/** No sample takes as long. */
const SAMPLE_TIMEOUT_MS = 60_000;

const EARLIEST = 'bare CRI calls at their earliest';

const ROWS: readonly {
  readonly start: keyof Starts;
  readonly what: string;
  readonly goals: (row: Row, floor: Floor) => Row;
}[] = [
  {
    start: 'chain',
    what: '5 init containers and an app, to running',
    goals: (row, floor) =>
      row.atMostTimes(0.12, 'kubelet', floor).atMostTimes(0.16, 'Compose', floor).atMostTimes(0.75, 'bare CRI', floor),
  },
  {
    start: 'plain',
    what: 'plain pod, to running',
    goals: (row, floor) => row.atMostTimes(1, 'kubelet', floor).atMostAbove(20, 'bare CRI'),
  },
  {
    start: 'ready',
    what: 'pod with httpGet readiness, to Ready',
    goals: (row, floor) => row.atMostTimes(1, 'kubelet', floor).atMostAbove(20, 'bare CRI'),
  },
  {
    start: 'restart',
    what: 'exit to first restart running',
    goals: (row, floor) => row.atMostTimes(0.1, 'kubelet', floor).atMostAbove(10, 'bare CRI'),
  },
  {
    start: 'liveness',
    what: 'failed liveness check to new container running',
    goals: (row, floor) => row.atMostTimes(0.8, 'kubelet', floor).atMostAbove(10, 'bare CRI'),
  },
];

/**
 * From a pod that is accepted to a pod that runs, and from a container that ends to its successor. All must have been started. Where
 * bare calls could be made earlier than one after the other, that is a row as well, and the floor that goals are judged by.
 * @param absent why others are not measured
 */
export async function* starts(
  ours: Kubelette,
  bare: BareCri,
  foreign: readonly Contender[],
  absent: ReadonlyMap<string, string>,
  plan: Plan,
): AsyncGenerator<Row> {
  for (const { start, what, goals } of ROWS) {
    const cells = new Map<string, Cell>(absent);
    const samplers = new Map<Contender | typeof EARLIEST, () => Promise<number>>();
    for (const contender of [ours, bare, ...foreign]) {
      const sampler = contender.starts[start];
      if (sampler instanceof Cannot) cells.set(contender.name, sampler.reason);
      else samplers.set(contender, () => within(SAMPLE_TIMEOUT_MS, `${contender.name}: ${what}`, sampler()));
    }
    const earliest = bare.earliest[start];
    if (earliest) samplers.set(EARLIEST, earliest);
    const all = [...samplers.keys()];
    const close = all.filter((who) => who === EARLIEST || !who.isForeign);
    const turns = [...all, ...Array.from({ length: plan.closely - 1 }, () => close).flat()];
    let atBest: Summary | undefined;
    for (const [who, result] of await byTurns(plan.rounds, plan.warmUps, samplers, turns)) {
      if (result instanceof Error && (who === EARLIEST || !who.isForeign)) throw result;
      if (who !== EARLIEST) cells.set(who.name, result instanceof Error ? `failed: ${result.message}` : result);
      else if (!(result instanceof Error)) atBest = result;
    }
    const row = new Row(what, 'ms', cells);
    yield goals(row, { what: atBest ? EARLIEST : 'bare CRI calls', value: atBest?.median ?? row.median(bare.name)! });
    if (!atBest) continue;
    const ourCell = cells.get(ours.name)!;
    yield new Row(
      `${what}; ${EARLIEST}`,
      'ms',
      new Map([
        [ours.name, ourCell],
        [bare.name, atBest],
      ]),
    ).atMostTimes(1.1, bare.name);
  }
}

/** One pod with ever more containers. All must have been started. */
export async function* moreContainers(ours: Kubelette, bare: BareCri, plan: Plan): AsyncGenerator<Row> {
  const ratios: number[] = [];
  for (const count of plan.containers) {
    const samplers = new Map([
      [ours.name, () => ours.startPod(idlePod(0, count), isRunning)],
      [bare.name, () => bare.startPod(idlePod(0, count))],
    ]);
    const cells = new Map<string, Cell>();
    for (const [name, result] of await byTurns(Math.min(3, plan.rounds), 0, samplers)) {
      if (result instanceof Error) throw result;
      cells.set(name, result);
    }
    const row = new Row(`a pod of ${count} container${count === 1 ? '' : 's'}, to running`, 'ms', cells);
    ratios.push(row.ours / row.median(bare.name)!);
    // The first one is the plain pod, which has goals already.
    yield count === plan.containers[0]
      ? row
      : row.goal(`ratio to bare CRI no worse than with ${plan.containers[0]}`, ratios.at(-1)! <= 1.1 * ratios[0]!);
  }
}
