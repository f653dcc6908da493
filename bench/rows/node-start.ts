import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Kubelette } from '../contenders/kubelette.ts';
import { randomPhase } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { servingPod } from '../pods.ts';
import { Row } from '../row.ts';

/** From a command to a node, or a pod, that is Ready, with the images present. The node must not have been started; it is stopped. */
export async function* nodeStart(ours: Kubelette, plan: Plan): AsyncGenerator<Row> {
  const versions: number[] = [];
  const ups: number[] = [];
  const runs: number[] = [];
  const file = join(dirname(ours.layout.rootDir), 'run.json');
  mkdirSync(dirname(file), { recursive: true });
  try {
    await ours.start();
    await ours.down();
    for (let i = 0; i < plan.nodeStarts; i++) {
      versions.push(await ours.version());
      await randomPhase();
      ups.push(await ours.up());
      await ours.down();
      await randomPhase();
      const pod = servingPod();
      writeFileSync(file, JSON.stringify(pod));
      runs.push(await ours.runFile(file));
      await ours.remove(pod);
      await ours.down();
    }
    yield Row.ofOurs('kubelette --version', 'ms', ...versions).atMost(100);
    yield Row.ofOurs('kubelette up, to a Ready node', 'ms', ...ups).atMost(1000);
    yield Row.ofOurs('kubelette run FILE from nothing, to Ready', 'ms', ...runs).atMost(1500);
  } finally {
    await ours.stop();
    rmSync(file, { force: true });
  }
}
