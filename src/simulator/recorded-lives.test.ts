import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { applyDefaults } from '../api/defaults.ts';
import type { Event, Pod, PodStatus } from '../api/generated/types.ts';
import { podRow } from '../api/print-pod.ts';
import { PODS } from '../api/resources.ts';
import type { ContainerScript, ImageScript } from './scenario.ts';
import { simulate } from './simulate.ts';

interface Recorded {
  readonly manifest: string;
  readonly then: readonly (readonly [number, readonly string[]])[];
  readonly watch: readonly { readonly at: number; readonly deleting: boolean; readonly status: PodStatus }[];
  readonly events: readonly { readonly reason: string; readonly field: string | null }[];
}

const TRACES = JSON.parse(
  readFileSync(new URL('../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<string, Recorded>;

const SLEEP: ContainerScript = { ignoreSigterm: true };
const exits = (exitCode: number, exitAfterMs = 50): ContainerScript => ({ exitCode, exitAfterMs });
/** `cat FILE` succeeds between two moments. */
const cats = (fromMs: number, toMs: number): ContainerScript => ({
  ...SLEEP,
  health: [
    { fromMs: 0, toMs: fromMs, answer: 'failure' },
    { fromMs: toMs, answer: 'failure' },
  ],
});
const DOWN: ContainerScript = { ...SLEEP, health: [{ fromMs: 0, answer: 'refused' }] };

/** What the containers of each life do. */
const LIVES: Record<string, Record<string, readonly ContainerScript[]>> = {
  plain: { app: [SLEEP] },
  'two-init': { a: [exits(0, 2000)], b: [exits(0, 2000)], app: [SLEEP] },
  'init-fails-twice': { a: [exits(1), exits(1), exits(0)], app: [SLEEP] },
  'init-fails-never': { a: [exits(7)] },
  'init-fails-onfailure': { a: [exits(7)] },
  'crash-loop': { app: [exits(3)] },
  'onfailure-fail-then-ok': { app: [exits(1), exits(0)] },
  'never-succeeds': { app: [exits(0)] },
  'never-one-fails': { ok: [exits(0)], bad: [exits(5, 2000)] },
  'liveness-exec': { app: [cats(0, 4000), cats(0, 4000), cats(0, 1e9)] },
  'liveness-http-twice': { app: [{ ...SLEEP, health: [{ fromMs: 0, answer: 'failure' }] }] },
  'readiness-flips': { app: [cats(3000, 8000)] },
  'startup-slow': { app: [cats(5000, 1e9)] },
  'startup-fails': { app: [DOWN] },
  'probe-exec-missing': { app: [{ ...SLEEP, health: [{ fromMs: 0, answer: 'error' }] }] },
  'probe-timeouts': {
    app: [{ ...SLEEP, health: [{ fromMs: 0, answer: 'hang' }] }],
    web: [{ ...SLEEP, health: [{ fromMs: 0, answer: 'hang' }] }],
  },
  'probe-grpc-refused': { app: [DOWN] },
  'two-containers-one-unready': { a: [SLEEP], b: [DOWN] },
  'pull-fails': {},
  'pull-never': {},
  'command-missing': { app: [{ startError: 'exec: "/no/such": stat /no/such: no such file or directory' }] },
  'config-missing': {},
  'volume-missing': {},
  sidecar: { side: [cats(2000, 1e9)], i: [exits(0, 1000)], app: [SLEEP] },
  'sidecar-job': { side: [SLEEP], app: [exits(0, 3000)] },
  'grace-ignored': { app: [SLEEP] },
  prestop: { app: [SLEEP] },
  'poststart-fails': { app: [SLEEP] },
  'prestop-fails': { app: [SLEEP] },
  'active-deadline': { app: [SLEEP] },
  'readiness-gate': { app: [SLEEP] },
  oom: { app: [{ exitAfterMs: 100, exitCode: 137, oom: true }] },
  'container-killed': { app: [exits(137, 3000)] },
  'init-pulled-missing': {},
};

/** The recorded machine and the simulated one differ by so much at a step at most. */
const SLACK_MS = 300;

const IMAGES: Record<string, ImageScript> = {
  'busybox:latest': { pullMs: 50 },
  busybox: {},
  'no-such-image:1': { present: false, failures: 1e9, pullMs: 100 },
};

/** As `kubectl get pods -w` shows a pod; repeats are left out. */
function rowOf(pod: Pod): string {
  const { ready, status, restarts } = podRow(pod, 0);
  return `${ready} ${status} ${restarts.split(' ')[0]}`;
}

it('knows every recorded life', () => {
  expect(Object.keys(LIVES).sort()).toEqual(Object.keys(TRACES).sort());
});

describe('the simulated kubelet lives the recorded lives, in the same order and never later', () => {
  it.each(Object.keys(LIVES))('%s', async (name) => {
    const recorded = TRACES[name]!;
    const pod = parse(recorded.manifest) as Pod;
    pod.metadata.namespace = 'default';
    const lastMs = recorded.watch.at(-1)!.at * 1000;
    const { facts } = await simulate({
      objects: [pod],
      seed: 1,
      scenario: {
        containers: Object.fromEntries(Object.entries(LIVES[name]!).map(([c, s]) => [`${pod.metadata.name}/${c}`, s])),
        images: IMAGES,
        actions: recorded.then.map(([at]) => ({ atMs: at * 1000, do: 'delete', pod: pod.metadata.name! })),
        durationMs: lastMs + SLACK_MS + 5000,
      },
    });
    const ours: { readonly row: string; readonly atMs: number }[] = [];
    for (const fact of facts) {
      if (fact.what !== 'written' || fact.collection !== 'pods') continue;
      ours.push({ row: fact.removed ? '(gone)' : rowOf(fact.object as Pod), atMs: fact.atMs });
    }
    const spec = structuredClone(pod);
    applyDefaults(PODS, spec);
    const theirs = recorded.watch.map(({ at, status, deleting }) => {
      const metadata = { ...spec.metadata, ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) };
      return { row: rowOf({ ...spec, metadata, status }), atMs: at * 1000 };
    });
    // Ours tells more steps than theirs; theirs must be among ours, in this order.
    let next = 0;
    for (const [i, { row, atMs }] of theirs.entries()) {
      if (theirs[i - 1]?.row === row) continue;
      const found = ours.findIndex((o, at) => at >= next && o.row === row);
      expect(
        found,
        `${row} at ${atMs} ms, among ${ours
          .slice(next)
          .map((o) => o.row)
          .join(', ')}`,
      ).toBeGreaterThan(-1);
      expect(ours[found]!.atMs, `${row}, later than the kubelet's`).toBeLessThanOrEqual(atMs + SLACK_MS);
      next = found;
    }
    // Every kind of event of each container, and of the pod.
    const told = facts
      .filter((f) => f.what === 'written' && f.collection === 'events' && !f.before && !f.removed)
      .map((f) => (f as { object: unknown }).object as Event);
    for (const field of new Set(recorded.events.map((e) => e.field))) {
      const theirReasons = distinct(recorded.events.filter((e) => e.field === field).map((e) => e.reason));
      const ourReasons = distinct(
        told.filter((e) => (e.involvedObject.fieldPath ?? null) === field).map((e) => e.reason!),
      ).filter((reason) => theirReasons.includes(reason));
      expect(ourReasons.sort(), field ?? 'pod').toEqual(theirReasons.sort());
    }
  });
});

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
