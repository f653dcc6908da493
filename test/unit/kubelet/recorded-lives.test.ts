import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Event, Pod, PodStatus } from '../../../src/api/generated/types.ts';
import { podRow } from '../../../src/api/print-pod.ts';
import { EVENTS, PODS } from '../../../src/api/resources.ts';
import type { FakeBehaviour } from '../../../src/cri/fake-runtime-service.ts';
import type { Prober } from '../../../src/kubelet/prober/attempt.ts';
import { networkProber } from '../../../src/kubelet/prober/network-prober.ts';
import { TestKubelet } from './test-kubelet.ts';

interface RecordedEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly field: string | null;
}

interface Trace {
  readonly manifest: string;
  readonly then: readonly (readonly [number, readonly string[]])[];
  readonly watch: readonly {
    readonly at: number;
    readonly type: string;
    readonly deleting: boolean;
    readonly status: PodStatus;
  }[];
  readonly events: readonly RecordedEvent[];
}

const TRACES = JSON.parse(readFileSync(new URL('../../data/kubelet-traces.json', import.meta.url), 'utf8')) as Record<
  string,
  Trace
>;

/** What the containers of a life do, and how long to look on. */
interface Script {
  readonly containers: Record<string, FakeBehaviour[]>;
  readonly seconds: number;
  readonly messages?: Record<string, string>;
  /** Answers probes other than exec; words as recorded. */
  readonly probe?: (container: string) => { outcome: 'success' | 'failure'; output: string };
  readonly missingImage?: boolean;
  /** Rows that only ours shows, and why. */
  readonly more?: readonly { readonly row: string; readonly why: string }[];
  /** Containers that are created while the one before still runs, so also when they never start. */
  readonly createdEarly?: readonly string[];
}

const SLEEP: FakeBehaviour = { ignoreSigterm: true };
const exits = (exitCode: number, exitAfterMs = 50): FakeBehaviour => ({ exitCode, exitAfterMs });
const START_ERROR =
  'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or directory: unknown';
const PULL_ERROR =
  'failed to pull and unpack image "docker.io/library/no-such-image:1": failed to resolve reference "docker.io/library/no-such-image:1": failed to do request: Head "https://registry-1.docker.io/v2/library/no-such-image/manifests/1": dial tcp: lookup registry-1.docker.io on ADDR: no such host';

/** `cat FILE` succeeds between two moments after the container's start (read on the clock by the test). */
function catsBetween(fromMs: number, toMs: number, file: string, now: () => number): FakeBehaviour {
  let startedAt: number | undefined;
  return {
    ignoreSigterm: true,
    exec: () => {
      startedAt ??= now();
      const age = now() - startedAt;
      if (age >= fromMs && age < toMs) return {};
      return { exitCode: 1, stderr: `cat: can't open '${file}': No such file or directory\n` };
    },
  };
}

// Where ours differ on purpose, and why.
const EACH_EXIT = 'an exit is told when it happens; upstream kills (and restarts) within one sync and tells afterwards';
const EACH_START = 'each start is told when it happens; upstream tells once per sync';
const BACK_OFF_AT_ONCE =
  'CrashLoopBackOff is shown from the beginning of the back-off on; the records, ending before, show it at its end';

function scripts(now: () => number): Record<string, Script> {
  return {
    plain: { containers: { app: [SLEEP] }, more: [{ row: '0/1 Terminating 0', why: EACH_EXIT }], seconds: 8 },
    'two-init': {
      containers: { a: [exits(0, 2000)], b: [exits(0, 2000)], app: [SLEEP] },
      createdEarly: ['b', 'app'],
      seconds: 8,
    },
    'init-fails-twice': { containers: { a: [exits(1), exits(1), exits(0)], app: [SLEEP] }, seconds: 15 },
    'init-fails-never': { containers: { a: [exits(7)] }, createdEarly: ['app'], seconds: 5 },
    'init-fails-onfailure': {
      containers: { a: [exits(7)] },
      seconds: 12,
      more: [{ row: '0/1 Init:CrashLoopBackOff 2', why: BACK_OFF_AT_ONCE }],
      createdEarly: ['app'],
    },
    'crash-loop': { containers: { app: [exits(3), exits(3), exits(3), SLEEP] }, seconds: 40 },
    'onfailure-fail-then-ok': { containers: { app: [exits(1), exits(0)] }, seconds: 5 },
    'never-succeeds': { containers: { app: [exits(0)] }, seconds: 5, messages: { app: 'done\n' } },
    'never-one-fails': {
      containers: { ok: [exits(0)], bad: [exits(5, 2000)] },
      more: [
        { row: '1/2 ContainerCreating 0', why: EACH_START },
        { row: '2/2 Running 0', why: EACH_START },
      ],
      seconds: 6,
    },
    'readiness-flips': { containers: { app: [catsBetween(3000, 8000, '/tmp/ok', now)] }, seconds: 14 },
    'startup-slow': { containers: { app: [catsBetween(4500, 1e9, '/tmp/ok', now)] }, seconds: 9 },
    'liveness-exec': {
      containers: {
        app: [
          catsBetween(0, 4000, '/tmp/ok', now),
          catsBetween(0, 4000, '/tmp/ok', now),
          catsBetween(0, 1e9, '/tmp/ok', now),
        ],
      },
      seconds: 20,
      more: [
        { row: '0/1 Error 0', why: EACH_EXIT },
        { row: '0/1 Error 1', why: EACH_EXIT },
      ],
    },
    'liveness-http-twice': {
      containers: { app: [SLEEP] },
      seconds: 37,
      probe: () => ({ outcome: 'failure', output: 'HTTP probe failed with statuscode: 404' }),
      more: [
        { row: '0/1 Error 0', why: EACH_EXIT },
        { row: '0/1 Error 1', why: EACH_EXIT },
        { row: '0/1 Error 2', why: EACH_EXIT },
        { row: '0/1 Error 3', why: EACH_EXIT },
      ],
    },
    'startup-fails': {
      containers: { app: [SLEEP] },
      seconds: 15,
      probe: () => ({ outcome: 'failure', output: 'dial tcp POD_IP:81: connect: connection refused' }),
      more: [
        { row: '0/1 Error 0', why: EACH_EXIT },
        { row: '0/1 Error 1', why: EACH_EXIT },
        { row: '0/1 Error 2', why: EACH_EXIT },
      ],
    },
    'two-containers-one-unready': {
      containers: { a: [SLEEP], b: [SLEEP] },
      more: [{ row: '1/2 ContainerCreating 0', why: EACH_START }],
      seconds: 5,
      probe: () => ({ outcome: 'failure', output: 'dial tcp POD_IP:81: connect: connection refused' }),
    },
    'pull-fails': { containers: {}, seconds: 9, missingImage: true },
    'pull-never': { containers: {}, seconds: 5, missingImage: true },
    'command-missing': {
      containers: { app: [{ startError: START_ERROR }] },
      more: [{ row: '0/1 CrashLoopBackOff 2', why: BACK_OFF_AT_ONCE }],
      seconds: 12,
    },
    'config-missing': { containers: {}, seconds: 5 },
    'volume-missing': { containers: {}, seconds: 5 },
    sidecar: {
      containers: { side: [catsBetween(1500, 1e9, '/tmp/up', now)], i: [exits(0, 1000)], app: [SLEEP] },
      more: [
        { row: '1/2 Terminating 0', why: EACH_EXIT },
        { row: '0/2 Terminating 0', why: EACH_EXIT },
      ],
      createdEarly: ['i', 'app'],
      seconds: 16,
    },
    'sidecar-job': { containers: { side: [SLEEP], app: [exits(0, 3000)] }, createdEarly: ['app'], seconds: 10 },
    'grace-ignored': { containers: { app: [SLEEP] }, more: [{ row: '0/1 Terminating 0', why: EACH_EXIT }], seconds: 8 },
    prestop: { containers: { app: [SLEEP] }, more: [{ row: '0/1 Terminating 0', why: EACH_EXIT }], seconds: 9 },
    'poststart-fails': { containers: { app: [SLEEP] }, seconds: 8 },
    'prestop-fails': { containers: { app: [SLEEP] }, more: [{ row: '0/1 Terminating 0', why: EACH_EXIT }], seconds: 9 },
    'active-deadline': { containers: { app: [SLEEP] }, seconds: 8 },
    'readiness-gate': { containers: { app: [SLEEP] }, seconds: 3 },
    oom: {
      containers: { app: [{ exitAfterMs: 100, exitCode: 137, oom: true }] },
      more: [{ row: '0/1 CrashLoopBackOff 1', why: BACK_OFF_AT_ONCE }],
      seconds: 3,
    },
    'container-killed': {
      containers: { app: [exits(1, 3000)] },
      more: [{ row: '0/1 CrashLoopBackOff 1', why: BACK_OFF_AT_ONCE }],
      seconds: 8,
    },
    'init-pulled-missing': {
      containers: {},
      seconds: 4,
      more: [
        {
          row: '0/1 Init:ImagePullBackOff 0',
          why: 'a failed pull is told as back-off after a second, not at the next sync',
        },
      ],
      missingImage: true,
    },
  };
}

/** Rows as `kubectl get pods -w` shows them, repeats left out. */
function rowsOf(pods: readonly Pod[]): string[] {
  const rows: string[] = [];
  for (const pod of pods) {
    const { ready, status, restarts } = podRow(pod, 0);
    const row = `${ready} ${status} ${restarts.split(' ')[0]}`;
    if (rows.at(-1) !== row) rows.push(row);
  }
  return rows;
}

function recordedRows(trace: Trace, pod: Pod): string[] {
  return rowsOf(
    trace.watch.map(({ status, deleting }) => ({
      ...pod,
      metadata: { ...pod.metadata, ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
      status,
    })),
  );
}

/** Without what differs from run to run, or is not the kubelet's. */
function eventText(e: RecordedEvent): string {
  const message = e.message
    .replace(/in \S+ \(\S+ including waiting\)\. Image size: \d+ bytes/, 'in TIME')
    .replace(/start exec "[0-9a-f]+"/, 'start exec "ID"');
  return `${e.type} ${e.reason} ${message} [${e.field ?? ''}]`;
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

async function live(name: string, trace: Trace): Promise<TestKubelet> {
  let script: Script | undefined;
  const t = new TestKubelet({
    prober: (kubelet): Prober => {
      const exec = networkProber(kubelet.clock, kubelet.fake.runtime);
      return async (input) => (input.probe.exec || !script?.probe ? exec(input) : script.probe(input.container.name));
    },
  });
  script = scripts(() => t.clock.monotonic())[name]!;
  for (const [container, behaviours] of Object.entries(script.containers)) t.fake.onStart(container, ...behaviours);
  for (const [container, text] of Object.entries(script.messages ?? {})) t.messages.set(container, text);
  t.fake.latencyMs.runPodSandbox = 100;
  t.fake.latencyMs.startContainer = 50;
  await t.start();
  if (script.missingImage) for (let i = 0; i < 3; i++) t.fake.failNext('pullImage', PULL_ERROR);
  await t.apply(trace.manifest);
  let nowMs = 0;
  for (const [atSeconds] of trace.then) {
    await t.advance(atSeconds * 1000 - nowMs);
    nowMs = atSeconds * 1000;
    await t.client.delete(PODS, { name: 'p', namespace: 'NS' });
  }
  await t.advance(script.seconds * 1000 - nowMs);
  return t;
}

const known = Object.keys(scripts(() => 0));

describe('the kubelet lives the recorded lives', () => {
  it('and knows them all, but those of which only the prober can tell', () => {
    const probers = ['probe-exec-missing', 'probe-timeouts', 'probe-grpc-refused'];
    expect(Object.keys(TRACES).filter((name) => !known.includes(name))).toEqual(probers);
  });

  it.each(known)('%s', async (name) => {
    const trace = TRACES[name]!;
    const script = scripts(() => 0)[name]!;
    await using t = await live(name, trace);
    const ours = rowsOf(t.client.writes.filter((w) => w.resource === 'pods').map((w) => w.object as Pod));
    const expected = recordedRows(trace, t.client.writes.find((w) => w.resource === 'pods')!.object as Pod);
    const more = (script.more ?? []).map((m) => m.row);
    expect(ours.filter((row) => !more.includes(row))).toEqual(expected);
    for (const row of more) expect(ours).toContain(row);

    const recorded = trace.events.filter((e) => e.reason !== 'Scheduled').map(eventText);
    const told = t.client.all(EVENTS).map((e: Event) =>
      eventText({
        type: e.type!,
        reason: e.reason!,
        message: e.message!,
        count: e.count!,
        field: e.involvedObject.fieldPath ?? null,
      }),
    );
    // Containers are prepared side by side and created early, so that only the order of each one's events is upstream's.
    // Records with counts are in the order of the last time, which tells nothing.
    const isOrdered = trace.events.every((e) => e.count === 1);
    const containerOf = (text: string): string => /\[(.*)\]$/.exec(text)![1]!;
    const arrange = (texts: string[]): string[] =>
      isOrdered ? texts.toSorted((x, y) => containerOf(x).localeCompare(containerOf(y))) : distinct(texts).sort();
    // Of a container that was created early and never started the records have nothing.
    const untold = (script.createdEarly ?? []).filter((c) => !recorded.some((text) => text.includes(`{${c}}`)));
    expect(arrange(told.filter((text) => !untold.some((c) => text.includes(`{${c}}`))))).toEqual(arrange(recorded));
  });
});
