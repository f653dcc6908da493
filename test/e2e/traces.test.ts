import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Event, Pod } from '../../src/api/generated/types.ts';
import { eventually } from './harness/eventually.ts';
import { useNode } from './harness/test-node.ts';
import { eventText, finalStatus, history, isSubsequence, type RecordedEvent, type Status } from './harness/trace.ts';

/**
 * Lives of pods as Kubernetes 1.36 lived them (test/data/README.md), lived again here. Ours are faster and report earlier, so the times
 * differ, and a state that Kubernetes shows for a moment only may be skipped. What has to agree:
 *  - every state of a container and every condition that lasted 1.5 s or more in the record comes here too, in the same order;
 *  - no state comes that the record does not have, except those listed with a reason;
 *  - the status at the end, field by field;
 *  - the events, word for word, but for counts and measured times.
 */
interface Trace {
  readonly manifest: string;
  /** Seconds, and the kubectl words then. */
  readonly then: readonly (readonly [number, readonly string[]])[];
  readonly 'get pods': readonly (readonly [number, string])[];
  readonly watch: readonly { readonly at: number; readonly type: string; readonly status: Status }[];
  readonly events: readonly RecordedEvent[];
}

const traces = JSON.parse(readFileSync(join(import.meta.dirname, '../data/kubelet-traces.json'), 'utf8')) as Record<
  string,
  Trace
>;

interface Differences {
  readonly why: string;
  /** States that come here and not in the record. */
  readonly extraStates?: readonly (string | RegExp)[];
  /** States of the record that do not come here, though they lasted. */
  readonly missingStates?: readonly (string | RegExp)[];
  /** Events that come here and not in the record. */
  readonly extraEvents?: readonly RegExp[];
  readonly missingEvents?: readonly RegExp[];
  /** Fields of the final status that are not compared. */
  readonly finalFields?: readonly string[];
}

const skipped: Record<string, string> = {};
const differences: Record<string, Differences> = {};

const node = useNode();

describe.concurrent('as Kubernetes 1.36', () => {
  for (const [name, trace] of Object.entries(traces)) {
    test.skipIf(skipped[name] !== undefined)(`${name}${skipped[name] ? ` (${skipped[name]})` : ''}`, async () => {
      const known = differences[name] ?? { why: '' };
      const namespace = `t-${name}`;
      const began = performance.now();
      const seconds = (): number => (performance.now() - began) / 1000;
      await node.current.kubectl('create', 'namespace', namespace);
      const seen: { at: number; status: Status }[] = [];
      const rows: string[] = [];
      const stops = await Promise.all([
        node.current.api.watch<Pod>(`/api/v1/namespaces/${namespace}/pods`, ({ type, object }) => {
          if (type !== 'DELETED') seen.push({ at: seconds(), status: object.status as Status });
        }),
        node.current.watchColumns(namespace, (_, row) => rows.push(row === '(gone)' ? row : `p ${row}`)),
      ]);
      try {
        await node.current.apply(trace.manifest, '-n', namespace);
        for (const [at, words] of trace.then) {
          await delay(Math.max(0, at - seconds()) * 1000);
          await node.current.kubectl(...words, '-n', namespace);
        }
        const wanted = lastingRows(trace);
        await eventually(() => expect(isSubsequence(wanted, rows) || { wanted, rows }).toBe(true), 90_000, 200);

        const recorded = trace.watch.filter((w) => w.type !== 'DELETED');
        const fields = { without: known.finalFields ?? [] };
        const expected = finalStatus(recorded.at(-1)!.status, fields);
        await eventually(() => expect(finalStatus(seen.at(-1)!.status, fields)).toEqual(expected));

        const theirs = history(recorded);
        const ours = history(seen);
        const matches = (list: readonly (string | RegExp)[] | undefined, state: string): boolean =>
          list?.some((l) => (typeof l === 'string' ? l === state : l.test(state))) === true;
        for (const [what, states] of ours) {
          const lasting = (theirs.get(what) ?? []).filter(
            (s) => s.lasted >= 1.5 && !matches(known.missingStates, s.state),
          );
          const list = states.map((s) => s.state);
          const wantedStates = lasting.map((s) => s.state);
          expect(isSubsequence(wantedStates, list) || { what, theirs: wantedStates, ours: list }).toBe(true);
          const possible = new Set((theirs.get(what) ?? []).map((s) => s.state));
          const unknown = list.filter((s) => !possible.has(s) && !matches(known.extraStates, s));
          expect(unknown, `states of ${what} that Kubernetes did not show`).toEqual([]);
        }

        const words = (events: readonly RecordedEvent[], without: readonly RegExp[] = []): string[] =>
          [...new Set(events.map(eventText))].filter((e) => !without.some((w) => w.test(e))).sort();
        const wantedEvents = words(trace.events, known.missingEvents);
        const check = async (): Promise<void> =>
          expect(words((await events(namespace)).map(recordedForm), known.extraEvents)).toEqual(wantedEvents);
        await eventually(check, 8000, 300);
      } finally {
        for (const stop of stops) stop();
        await node.current.kubectl(
          'delete',
          'pod',
          'p',
          '-n',
          namespace,
          '--now',
          '--ignore-not-found',
          '--wait=false',
        );
      }
    });
  }
});

/** What `get pods` showed for 1.5 s or more, and at the end. */
function lastingRows(trace: Trace): string[] {
  const rows = trace['get pods'];
  return rows.flatMap(([at, row], i) => {
    const next = rows[i + 1]?.[0] ?? Number.POSITIVE_INFINITY;
    return next - at >= 1.5 ? [row] : [];
  });
}

const events = (namespace: string): Promise<Event[]> => node.current.events('p', namespace);

function recordedForm(event: Event): RecordedEvent {
  const { type, reason, message, involvedObject } = event;
  return { type: type ?? '', reason: reason ?? '', message: message ?? '', field: involvedObject.fieldPath ?? null };
}
