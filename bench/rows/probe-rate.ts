import { setTimeout as delay } from 'node:timers/promises';
import type { Kubelette } from '../contenders/kubelette.ts';
import { coresUsed } from '../host.ts';
import { quantile, within } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { probedPod } from '../pods.ts';
import { Row } from '../row.ts';
import { probeTiming } from './probe-timing.ts';

const READY_TIMEOUT_MS = 240_000;

/**
 * Very many checks a second from one agent: pods of many containers, each container with a readiness and a liveness probe a second,
 * which all ask the nginx of their pod. The node must not have been started; it is stopped afterwards.
 */
export async function* probeRate(ours: Kubelette, plan: Plan): AsyncGenerator<Row> {
  const { pods, containers } = plan.manyProbes;
  const rate = pods * containers * 2;
  try {
    await ours.start();
    const made = Array.from({ length: pods }, () => probedPod(containers));
    await within(READY_TIMEOUT_MS, `${pods} pods of ${containers} containers Ready`, ours.createAll(made));
    await delay(plan.settleSeconds * 1000);
    const cores = await coresUsed(ours.pids(), plan.windowSeconds);
    const { lateness, missed } = await probeTiming(ours, plan.windowSeconds);
    const what = `${rate} checks a second`;
    const share = (100 * lateness.length) / (lateness.length + missed);
    yield Row.ofOurs(`${what}: made, and in time for their period`, '%', share).goal('all', missed === 0);
    yield Row.ofOurs(`${what}: lateness, p99`, 'ms', quantile(lateness, 0.99)).atMost(20);
    yield Row.ofOurs(`${what}: CPU of the agent`, 'cores', cores).atMost(0.5);
  } finally {
    await ours.stop();
  }
}
