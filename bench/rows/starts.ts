import type { BareCri } from '../contenders/bare-cri.ts';
import { Cannot, type Contender, type Starts } from '../contenders/contender.ts';
import type { Kubelette } from '../contenders/kubelette.ts';
import { byTurns, within } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { idlePod, isRunning } from '../pods.ts';
import { type Cell, Row } from '../row.ts';

/** No sample takes as long. */
const SAMPLE_TIMEOUT_MS = 60_000;

const ROWS: readonly { readonly start: keyof Starts; readonly what: string; readonly goals: (row: Row) => Row }[] = [
  {
    start: 'chain',
    what: '5 init containers and an app, to running',
    goals: (row) => row.atMostTimes(0.12, 'kubelet').atMostTimes(0.16, 'Compose').atMostTimes(0.75, 'bare CRI'),
  },
  {
    start: 'plain',
    what: 'plain pod, to running',
    goals: (row) => row.atMostTimes(1, 'kubelet').atMostAbove(20, 'bare CRI'),
  },
  {
    start: 'ready',
    what: 'pod with httpGet readiness, to Ready',
    goals: (row) => row.atMostTimes(1, 'kubelet').atMostAbove(20, 'bare CRI'),
  },
  {
    start: 'restart',
    what: 'exit to first restart running',
    goals: (row) => row.atMostTimes(0.1, 'kubelet').atMostAbove(10, 'bare CRI'),
  },
  {
    start: 'liveness',
    what: 'failed liveness check to new container running',
    goals: (row) => row.atMostTimes(0.8, 'kubelet').atMostAbove(10, 'bare CRI'),
  },
];

/**
 * From a pod that is accepted to a pod that runs, and from a container that ends to its successor. All must have been started.
 * @param absent why others are not measured
 */
export async function* starts(
  contenders: readonly Contender[],
  absent: ReadonlyMap<string, string>,
  plan: Plan,
): AsyncGenerator<Row> {
  for (const { start, what, goals } of ROWS) {
    const cells = new Map<string, Cell>(absent);
    const samplers = new Map<Contender, () => Promise<number>>();
    for (const contender of contenders) {
      const sampler = contender.starts[start];
      if (sampler instanceof Cannot) cells.set(contender.name, sampler.reason);
      else samplers.set(contender, () => within(SAMPLE_TIMEOUT_MS, `${contender.name}: ${what}`, sampler()));
    }
    for (const [contender, result] of await byTurns(plan.runs, plan.warmUps, samplers)) {
      if (result instanceof Error && !contender.isForeign) throw result;
      cells.set(contender.name, result instanceof Error ? `failed: ${result.message}` : result);
    }
    yield goals(new Row(what, 'ms', cells));
  }
}

/** The chain beside the same calls at their earliest: what of the time is the runtime's, whoever calls. All must have been started. */
export async function* overlapped(ours: Kubelette, bare: BareCri, plan: Plan): AsyncGenerator<Row> {
  const samplers = new Map([
    [ours.name, () => ours.startPod(idlePod(5), isRunning)],
    [bare.name, () => bare.startOverlapped(idlePod(5))],
  ]);
  const cells = await cellsOf(plan.runs, plan, samplers);
  yield new Row('the chain; bare CRI calls at their earliest, nobody told', 'ms', cells).atMostTimes(1.1, bare.name);
}

/** One pod with ever more containers. All must have been started. */
export async function* moreContainers(ours: Kubelette, bare: BareCri, plan: Plan): AsyncGenerator<Row> {
  const ratios: number[] = [];
  for (const count of plan.containers) {
    const samplers = new Map([
      [ours.name, () => ours.startPod(idlePod(0, count), isRunning)],
      [bare.name, () => bare.startPod(idlePod(0, count))],
    ]);
    const cells = await cellsOf(Math.min(3, plan.runs), plan, samplers);
    const row = new Row(`a pod of ${count} container${count === 1 ? '' : 's'}, to running`, 'ms', cells);
    ratios.push(row.ours / row.median(bare.name)!);
    // The first one is the plain pod, which has goals already.
    yield count === plan.containers[0]
      ? row
      : row.goal(`ratio to bare CRI no worse than with ${plan.containers[0]}`, ratios.at(-1)! <= 1.1 * ratios[0]!);
  }
}

/** Of those who must not fail. */
async function cellsOf(
  runs: number,
  { warmUps }: Plan,
  samplers: ReadonlyMap<string, () => Promise<number>>,
): Promise<Map<string, Cell>> {
  const cells = new Map<string, Cell>();
  for (const [name, result] of await byTurns(runs, warmUps, samplers)) {
    if (result instanceof Error) throw result;
    cells.set(name, result);
  }
  return cells;
}
