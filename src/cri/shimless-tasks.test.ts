import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { ShimlessTasks } from './shimless-tasks.ts';

// That tasks are ended is tested on a real containerd: managed-containerd.real.test.ts.

let dir: string;
let bundles: string;
let clock: FakeClock;
let tasks: ShimlessTasks;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-tasks-'));
  bundles = join(dir, 'state/io.containerd.runtime.v2.task/k8s.io');
  clock = new FakeClock();
  tasks = new ShimlessTasks({
    root: join(dir, 'root'),
    state: join(dir, 'state'),
    socket: join(dir, 'sock'),
    clock,
    logger: silentLogger,
  });
});
afterEach(async () => {
  await tasks.close();
  rmSync(dir, { recursive: true });
});

function makeBundle(name: string): string {
  const bundle = join(bundles, name);
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  writeFileSync(join(bundle, 'config.json'), '{"annotations"'); // half written
  return bundle;
}

/** For what happens between two looks. */
async function pass(ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a bundle that containerd has half removed goes when it is found twice; one that is being made stays', async () => {
  const [gone, made] = [makeBundle('.abc'), makeBundle('abd')];
  tasks.sweepSoon();
  await pass(10_000);
  const late = makeBundle('.abe');
  expect(existsSync(gone)).toBe(true);
  tasks.sweepSoon();
  await pass(10_000);
  expect([gone, made, late].map((bundle) => existsSync(bundle))).toEqual([false, true, true]);
  // Asked for again meanwhile.
  await pass(10_000);
  await pass(10_000);
  expect([made, late].map((bundle) => existsSync(bundle))).toEqual([true, false]);
});

test('without directories there is nothing to do', async () => {
  tasks.sweepSoon();
  await pass(10_000);
  await tasks.end('abc', ['abc', 'abd']);
  await tasks.forget('abc');
});
