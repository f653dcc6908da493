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

function makeHalfRemovedBundle(id: string): string {
  const bundle = join(bundles, `.${id}`);
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  return bundle;
}

/** For what happens between two looks. */
async function pass(ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a bundle that containerd has half removed goes when it is found twice', async () => {
  const gone = makeHalfRemovedBundle('abc');
  tasks.sweepSoon();
  await pass(10_000);
  const late = makeHalfRemovedBundle('abe');
  expect(existsSync(gone)).toBe(true);
  tasks.sweepSoon();
  await pass(10_000);
  expect([gone, late].map((bundle) => existsSync(bundle))).toEqual([false, true]);
  // Asked for again meanwhile.
  await pass(10_000);
  await pass(10_000);
  expect(existsSync(late)).toBe(false);
});

test('what does not go is tried again', async () => {
  const busy = makeHalfRemovedBundle('abc');
  // The place of its counterpart below the root directory, of which it is no part.
  writeFileSync(join(dir, 'root'), '');
  tasks.sweepSoon();
  await pass(10_000);
  await pass(10_000);
  rmSync(join(dir, 'root'));
  mkdirSync(busy, { recursive: true });
  await pass(10_000);
  await pass(10_000);
  expect(existsSync(busy)).toBe(false);
});

test('without directories there is nothing to do', async () => {
  tasks.sweepSoon();
  await pass(10_000);
  await tasks.end('abc');
  tasks.forget('abc');
});
