import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Cannot, type Contender } from '../contenders/contender.ts';
import type { Kubelette } from '../contenders/kubelette.ts';
import { coresUsed, residentMB } from '../host.ts';
import { quantile, summarize, within } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { type Cell, Row } from '../row.ts';
import { probeTiming } from './probe-timing.ts';

const CROWD_TIMEOUT_MS = 240_000;
/** kube-apiserver 273 and etcd 43, of Kubernetes 1.36, without any load; neither is measured here. */
const CONTROL_PLANE_MB = 316;

/** What a contender uses with so many pods, each with a probe a second, and what it took until all were Ready. */
interface Crowd {
  readonly readyMs: number;
  readonly memoryMB: number;
  readonly cores: number;
}

/**
 * Many pods at once, and what the agents use for them. Each size begins with agents that have done nothing before. Of the largest crowd of
 * all contenders the processor time is measured at the same time, with all of them there, since machines are faster at one moment than
 * at another. None may have been started; all are stopped afterwards.
 * @param absent why further ones are not measured
 */
export async function* crowds(
  ours: Kubelette,
  others: readonly Contender[],
  absent: ReadonlyMap<string, string>,
  plan: Plan,
): AsyncGenerator<Row> {
  const contenders: readonly Contender[] = [ours, ...others];
  const seen = new Map<string, Map<number, Crowd> | string>();
  for (const contender of contenders) {
    if (contender.crowd instanceof Cannot) seen.set(contender.name, contender.crowd.reason);
    else seen.set(contender.name, new Map());
  }
  const largest = plan.crowds.at(-1)!;
  /** Of each check of ours in the largest crowd, ms. */
  const lateness: number[] = [];
  const sizes = [...new Set([0, ...plan.crowds, ...plan.growth])].sort((a, b) => a - b);
  /** Undefined when it failed, which is noted and ends only our own. */
  const tried = async <T>(contender: Contender, work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!contender.isForeign) throw error;
      seen.set(contender.name, `failed: ${(error as Error).message}`);
      return undefined;
    }
  };
  const measure = async (group: readonly Contender[], size: number): Promise<void> => {
    const isLargest = size === largest;
    const ready = new Map<Contender, number>();
    try {
      for (const contender of group) {
        const readyMs = await tried(contender, start(contender, size));
        if (readyMs !== undefined) ready.set(contender, readyMs);
      }
      const uses = [...ready].map(async ([contender, readyMs]) => {
        const afterSeconds = isLargest ? plan.warmSeconds : plan.settleSeconds;
        const used = await tried(contender, usage(contender, afterSeconds, plan));
        const crowd = seen.get(contender.name)!;
        if (used && typeof crowd !== 'string') crowd.set(size, { readyMs, ...used });
      });
      await Promise.all(uses);
      if (isLargest) lateness.push(...(await probeTiming(ours, plan.windowSeconds)).lateness);
    } finally {
      for (const contender of group) await contender.stop();
    }
  };
  for (const size of sizes) {
    const asked = contenders.filter((contender) => {
      const isAsked = contender === ours || size === 0 || plan.crowds.includes(size);
      const isTooMany = size > (contender.largestCrowd ?? Number.POSITIVE_INFINITY);
      return isAsked && !isTooMany && typeof seen.get(contender.name) !== 'string';
    });
    const groups = size === largest ? [asked] : asked.map((contender) => [contender]);
    for (const group of groups) await measure(group, size);
  }

  const row = (what: string, unit: string, size: number, value: (crowd: Crowd) => number, but?: boolean): Row => {
    const cells = new Map<string, Cell>(absent);
    for (const contender of contenders) {
      const crowd = seen.get(contender.name)!;
      const differs = but ? contender.crowdDiffers : undefined;
      if (typeof crowd === 'string') cells.set(contender.name, crowd);
      else if (differs) cells.set(contender.name, differs.reason);
      else if (crowd.has(size)) cells.set(contender.name, summarize([value(crowd.get(size)!)]));
    }
    return new Row(what, unit, cells);
  };
  for (const size of plan.crowds) {
    yield row(`${size} pods at once, all Ready`, 's', size, (c) => c.readyMs / 1000).atMostTimes(0.8, 'kubelet');
  }
  for (const size of [0, ...plan.crowds]) {
    const memory = row(`resident memory with ${size} pods`, 'MB', size, (c) => c.memoryMB).atMostTimes(1, 'kubelet');
    const kubelet = memory.median('kubelet');
    const isMet = kubelet === undefined ? undefined : memory.ours <= 0.3 * (kubelet + CONTROL_PLANE_MB);
    yield memory.goal(`<= 0.3 x kubelet + ${CONTROL_PLANE_MB} MB of kube-apiserver and etcd`, isMet);
  }
  yield Row.ofOurs('resident memory of an idle Node with the same modules', 'MB', await idleNodeMB());
  yield row(`CPU, ${largest} pods with a probe a second`, 'cores', largest, (c) => c.cores, true).atMostTimes(
    0.7,
    'kubelet',
  );

  const mine = seen.get(ours.name) as Map<number, Crowd>;
  yield Row.ofOurs(`lateness of a check with ${largest} pods, p99`, 'ms', quantile(lateness, 0.99)).atMost(10);

  // Per pod, over what the agent uses without any. A handful of pods says little, so the second size is what is compared with.
  const empty = mine.get(0)!;
  const withPods = sizes.filter((size) => size > 0 && (plan.growth.includes(size) || size === largest));
  const reference = withPods[1] ?? withPods[0]!;
  for (const [what, unit, of] of [
    ['CPU', 'millicores', (c: Crowd, size: number) => (1000 * c.cores) / size],
    ['memory', 'MB', (c: Crowd, size: number) => (c.memoryMB - empty.memoryMB) / size],
  ] as const) {
    for (const size of withPods) {
      const perPod = of(mine.get(size)!, size);
      const grown = Row.ofOurs(`${what} per pod, with ${size}`, unit, perPod);
      const limit = 1.1 * of(mine.get(reference)!, reference);
      yield size === withPods.at(-1) ? grown.goal(`no more than with ${reference} (+ 10 %)`, perPod <= limit) : grown;
    }
  }
}

/** What a Node holds that does nothing but import what an agent needs, as one does; an agent that is careful may hold a little less. */
async function idleNodeMB(): Promise<number> {
  const modules = ['crypto', 'dgram', 'http', 'http2', 'https', 'net', 'sqlite', 'tls', 'worker_threads'];
  const code = `${modules.map((name) => `await import('node:${name}');`).join('')}console.log(1);setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(child.stdout, 'data');
    return residentMB([child.pid!]);
  } finally {
    child.kill('SIGKILL');
  }
}

/** Milliseconds until so many pods are Ready. */
async function start(contender: Contender, size: number): Promise<number> {
  await contender.start();
  const { crowd } = contender;
  if (crowd instanceof Cannot) throw new Error('is asked for what it cannot do');
  return size === 0 ? 0 : within(CROWD_TIMEOUT_MS, `${contender.name}: ${size} pods Ready`, crowd(size));
}

/** What a contender uses, once it has run for so many seconds more. */
async function usage(
  { pids }: Contender,
  afterSeconds: number,
  plan: Plan,
): Promise<Pick<Crowd, 'cores' | 'memoryMB'>> {
  if (pids instanceof Cannot) throw new Error('is asked for what it cannot do');
  await delay(1000 * afterSeconds);
  const cores = await coresUsed(pids(), plan.windowSeconds);
  return { cores, memoryMB: residentMB(pids()) };
}
