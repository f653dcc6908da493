import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Event, Pod, PodStatus } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { useNode } from './harness/test-node.ts';
import { comparable, eventText, history, isSubsequence, type RecordedEvent } from './harness/trace.ts';

/**
 * Lives of pods as Kubernetes 1.36 lived them (test/data/README.md), lived again here. Ours are faster and report earlier, so the times
 * differ, and a state that Kubernetes shows for a moment only may be skipped. What has to agree:
 *  - every state of a container and every condition that lasted 1.5 s or more in the record comes here too, in the same order;
 *  - no state comes that the record does not have, except those listed with a reason;
 *  - the status at the end of the record comes here, field by field;
 *  - the events, word for word, but for counts and measured times.
 */
interface Trace {
  readonly manifest: string;
  /** Seconds, and the kubectl words then. */
  readonly then: readonly (readonly [number, readonly string[]])[];
  readonly 'get pods': readonly (readonly [number, string])[];
  readonly watch: readonly { readonly at: number; readonly type: string; readonly status: PodStatus }[];
  readonly events: readonly RecordedEvent[];
}

const traces = JSON.parse(readFileSync(join(import.meta.dirname, '../data/kubelet-traces.json'), 'utf8')) as Record<
  string,
  Trace
>;

interface Difference {
  readonly why: string;
  readonly traces: readonly string[];
  /** States that come here and not in the record. */
  readonly extraStates?: RegExp;
  /** Events that come here and not in the record. */
  readonly extraEvents?: RegExp;
  /** Seconds: what the record has later is not compared. */
  readonly cutAfter?: number;
}

/** Where we differ on purpose. */
const DIFFERENCES: readonly Difference[] = [
  {
    why: 'An exit is reported when it happens. The kubelet tells of a container that it kills only once the next one runs.',
    traces: ['liveness-exec', 'liveness-http-twice', 'startup-fails'],
    extraStates: /^terminated Error 137 /,
  },
  {
    why: 'CrashLoopBackOff is shown as soon as the back-off begins. The kubelet shows the exit until it looks at the pod again.',
    traces: [
      'init-fails-twice',
      'init-fails-onfailure',
      'crash-loop',
      'command-missing',
      'oom',
      'container-killed',
      'startup-fails',
    ],
    extraStates: /^waiting CrashLoopBackOff /,
  },
  {
    why: 'ImagePullBackOff is shown as soon as the back-off begins, too.',
    traces: ['init-pulled-missing', 'pull-fails'],
    extraStates: /^waiting ImagePullBackOff /,
  },
  {
    why: 'The start of a container is reported when it happens, not when all have been started.',
    traces: ['never-one-fails', 'two-containers-one-unready', 'probe-timeouts', 'sidecar', 'sidecar-job'],
    extraStates: /^(True|False ContainersNotReady containers with unready status: \[[a-z ]+\])$/,
  },
  {
    why: 'A container that ends at once is seen running all the same.',
    traces: ['never-one-fails'],
    extraStates: /^running restarts 0 started ready$/,
  },
  {
    why: 'The first check comes as soon as the container runs, when its server may not listen yet.',
    traces: ['liveness-http-twice'],
    extraEvents: /^Warning Unhealthy \S+ Liveness probe failed: Get .*: connection refused$/,
  },
  {
    why: 'The next container is created while an init container still runs, so that it can start at once.',
    traces: ['init-fails-never', 'init-fails-onfailure'],
    extraEvents: /^Normal (Pulling|Pulled|Created) spec\.containers\{app\} /,
  },
  {
    why: 'It runs for some milliseconds each time: the record shows its fourth run by chance.',
    traces: ['crash-loop'],
    cutAfter: 40,
  },
];

/** A state that the record shows for less may be too short to be seen here. */
const LASTING_SECONDS = 1.5;

const node = useNode();

describe.concurrent('as Kubernetes 1.36', () => {
  for (const [name, whole] of Object.entries(traces)) {
    test(name, async () => {
      const known = DIFFERENCES.filter((d) => d.traces.includes(name));
      const trace = cut(whole, Math.min(...known.map((d) => d.cutAfter ?? Number.POSITIVE_INFINITY)));
      const isExtra = (kind: 'extraStates' | 'extraEvents', text: string): boolean =>
        known.some((d) => d[kind]?.test(text));

      const life = await live(name, trace);

      const theirs = history(trace.watch);
      for (const [what, states] of history(life.statuses)) {
        const record = theirs.get(what) ?? [];
        const ours = states.map((s) => s.state);
        const lasting = record
          .filter((s) => s.lasted >= LASTING_SECONDS)
          .map((s) => s.state)
          .filter((state, i, all) => state !== all[i - 1]); // what was between them was short
        expect(isSubsequence(lasting, ours) || { what, lasting, ours }).toBe(true);
        const strange = ours.filter((s) => !record.some((r) => r.state === s) && !isExtra('extraStates', s));
        expect(strange, `states of ${what} that Kubernetes did not show`).toEqual([]);
      }
      const words = life.events.map(eventText).filter((e) => !isExtra('extraEvents', e));
      expect([...new Set(words)].sort()).toEqual([...new Set(trace.events.map(eventText))].sort());
    });
  }
});

interface Life {
  readonly statuses: readonly { readonly at: number; readonly status: PodStatus }[];
  readonly events: readonly RecordedEvent[];
}

/** Lives a trace until all that lasted in it, and its last status, have come; the pod is gone afterwards. */
async function live(name: string, trace: Trace): Promise<Life> {
  const namespace = `t-${name}`;
  const { current } = node;
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const statuses: { at: number; status: PodStatus }[] = [];
  const rows: string[] = [];
  /** Waits until everything that lasted in the record before this second has been seen here. */
  const passed = (at: number): Promise<void> => {
    const wanted = lastingRows(trace, at);
    return eventually(() => expect(isSubsequence(wanted, rows) || { wanted, rows }).toBe(true), 90_000, 200);
  };
  // A second try waits until what the first one left has gone.
  await eventually(() => current.kubectl('create', 'namespace', namespace), 30_000, 500);
  const stops = await Promise.all([
    current.api.watch<Pod>(`/api/v1/namespaces/${namespace}/pods`, ({ type, object }) => {
      if (type !== 'DELETED') statuses.push({ at: seconds(), status: object.status! });
    }),
    current.watchColumns(namespace, (_, row) => rows.push(row === '(gone)' ? row : `p ${row}`)),
  ]);
  try {
    await current.apply(trace.manifest, '-n', namespace);
    for (const [at, words] of trace.then) {
      await delay(Math.max(0, at - seconds()) * 1000);
      // On a busy machine the pod may not have come so far yet as it had when this was done to it.
      await passed(at);
      await current.kubectl(...words, '-n', namespace);
    }
    await passed(Number.POSITIVE_INFINITY);
    const last = comparable(trace.watch.at(-1)!.status);
    await eventually(() => {
      const ours = statuses.map((s) => comparable(s.status));
      if (!ours.some((o) => isDeepStrictEqual(o, last))) expect(ours.at(-1)).toEqual(last);
    });
    // A few events come late: those about a back-off, or a probe that fails again.
    const wantedEvents = new Set(trace.events.map(eventText));
    let events: RecordedEvent[] = [];
    await eventually(
      async () => {
        events = (await current.events('p', namespace)).map(recordedForm);
        expect([...wantedEvents].filter((e) => !events.some((o) => eventText(o) === e))).toEqual([]);
      },
      8000,
      300,
    );
    return { statuses, events };
  } finally {
    for (const stop of stops) stop();
    await current.kubectl('delete', 'namespace', namespace, '--wait=false');
  }
}

function cut(trace: Trace, afterSeconds: number): Trace {
  return {
    ...trace,
    'get pods': trace['get pods'].filter(([at]) => at <= afterSeconds),
    watch: trace.watch.filter((w) => w.type !== 'DELETED' && w.at <= afterSeconds),
  };
}

/** What `get pods` showed for long before `until`, in seconds, and at the end. */
function lastingRows(trace: Trace, until: number): string[] {
  const rows = trace['get pods'].filter(([at]) => at < until);
  return rows.flatMap(([at, row], i) => {
    const next = rows[i + 1]?.[0] ?? until;
    return next - at >= LASTING_SECONDS ? [row] : [];
  });
}

function recordedForm(event: Event): RecordedEvent {
  const { type, reason, message, involvedObject } = event;
  return { type: type ?? '', reason: reason ?? '', message: message ?? '', field: involvedObject.fieldPath ?? null };
}
