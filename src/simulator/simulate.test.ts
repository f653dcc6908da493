import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { expect, it } from 'vitest';
import { watchForLeaks } from '../../test/sim/watch-for-leaks.ts';
import type { Pod } from '../api/generated/types.ts';
import { readManifest } from '../api/manifest.ts';
import type { Fact } from './fact.ts';
import type { Scenario } from './scenario.ts';
import { type SimulateOptions, simulate, type Trace } from './simulate.ts';

const examples = ['init-demo', 'webapl'].flatMap((name) => {
  const file = new URL(`../../examples/${name}.yaml`, import.meta.url);
  return readManifest(readFileSync(file, 'utf8'), name).map((m) => m.object);
});

function run(scenario: Partial<Scenario> = {}, options: Partial<SimulateOptions> = {}): Promise<Trace> {
  const containers = { 'init-demo/install': [{ exitAfterMs: 2000 }] };
  return simulate({
    objects: examples,
    seed: 1,
    scenario: { durationMs: 60_000, containers, ...scenario },
    ...options,
  });
}

const at = (trace: Trace, what: Fact['what'], container: string): number[] =>
  trace.facts.filter((f) => f.what === what && 'container' in f && f.container === container).map((f) => f.atMs);

/** When the API server first held a pod that is like this. */
function when(trace: Trace, pod: string, isSo: (pod: Pod) => boolean): number | undefined {
  return trace.facts.find(
    (f) => f.what === 'written' && f.key === `default/${pod}` && f.collection === 'pods' && isSo(f.object as Pod),
  )?.atMs;
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

it('runs the examples on production code: init first, ready when the probe says so', async () => {
  const trace = await run();
  const [installed] = at(trace, 'containerExited', 'install');
  const [nginx] = at(trace, 'containerStarted', 'nginx');
  expect(nginx! - installed!).toBeGreaterThan(0);
  expect(nginx! - installed!).toBeLessThan(150);
  expect(when(trace, 'init-demo', isReady)! - nginx!).toBeLessThan(10);
  // webapl.yaml: the readiness probe's first check comes after initialDelaySeconds.
  const [webapl] = at(trace, 'containerStarted', 'webapl');
  const { initialDelaySeconds = 0 } = (examples[1] as Pod).spec.containers[0]!.readinessProbe!;
  expect(when(trace, 'webapl', isReady)! - webapl! - initialDelaySeconds * 1000).toBeLessThan(50);
  expect(trace.violations).toEqual([]);
});

it('restarts what its liveness probe finds dead, and says so', async () => {
  const trace = await run({
    containers: {
      'webapl/webapl': [{ health: [{ probe: 'liveness', fromMs: 20_000, answer: 'hang' }] }, {}],
    },
  });
  expect(at(trace, 'containerStarted', 'webapl')).toHaveLength(2);
  const events = trace.facts.filter((f) => f.what === 'written' && f.collection === 'events');
  expect(JSON.stringify(events)).toContain('Container webapl failed liveness probe, will be restarted');
});

const FAULTS: Scenario['actions'] = [
  { atMs: 1500, do: 'killAgent', downMs: 700, afterSteps: 13 },
  { atMs: 9000, do: 'killRuntime', downMs: 3000 },
  { atMs: 15_000, do: 'breakEvents', forMs: 5000, how: 'delay' },
  { atMs: 16_000, do: 'exit', pod: 'webapl', container: 'webapl', exitCode: 1 },
  { atMs: 20_000, do: 'jumpWall', ms: -3_600_000 },
  { atMs: 25_000, do: 'cutPower', downMs: 2000, lostWrites: 3 },
  { atMs: 40_000, do: 'delete', pod: 'webapl' },
];

it('does the same again for the same seed, to the byte, and something else for another', async () => {
  const options = { maxApiLatencyMs: 5 };
  const [first, again, other] = [
    await run({ actions: FAULTS }, options),
    await run({ actions: FAULTS }, options),
    await run({ actions: FAULTS }, { ...options, seed: 2 }),
  ];
  expect(first.facts.length).toBeGreaterThan(200);
  expect(again.hash).toBe(first.hash);
  expect(other.hash).not.toBe(first.hash);
});

it('asks the real world for nothing: no time, no randomness, no I/O', async () => {
  const watch = watchForLeaks({ everything: true });
  let trace: Trace;
  let leaks: string[] = [];
  try {
    trace = await run({ actions: FAULTS });
  } finally {
    leaks = watch.stop();
  }
  expect(leaks).toEqual([]);
  expect(trace.facts.some((f) => f.what === 'powerCut')).toBe(true);
});

it.each<[string, () => unknown]>([
  ['Date.now', () => Date.now()],
  ['new Date()', () => new Date()],
  ['Math.random', () => Math.random()],
  ['performance.now', () => performance.now()],
  ['process.hrtime', () => process.hrtime()],
  ['globalThis.setTimeout', () => clearTimeout(setTimeout(() => {}, 0))],
  ['globalThis.setInterval', () => clearInterval(setInterval(() => {}, 1000))],
  ['AbortSignal.timeout', () => AbortSignal.timeout(1)],
  ['crypto.randomUUID', () => randomUUID()],
  ['crypto.randomUUID', () => crypto.randomUUID()],
  ['fs.readFileSync', () => readFileSync(import.meta.filename)],
  ['fs.promises.stat', () => stat(import.meta.filename)],
  ['net.createServer', () => createServer()],
  ['child_process.spawnSync', () => spawnSync('true')],
  ['os.hostname', () => hostname()],
])('the watch over the real world notices %s, as in every seed of `make sim`', async (what, ask) => {
  const watch = watchForLeaks();
  let leaks: string[] = [];
  try {
    await ask();
  } finally {
    leaks = watch.stop();
  }
  expect(leaks).toContain(what);
  await ask();
  expect(watch.taken()).toEqual([]);
});
