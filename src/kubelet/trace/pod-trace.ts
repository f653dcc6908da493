import type { Pod } from '../../api/generated/types.ts';
import type { RecordedSection, RecordedSpan, TraceOutcome, TraceSubject } from '../../lib/pod-traces.ts';

/** Where the time went when a pod started and, each time, restarted: what `kubelette trace -o json` prints. */
export interface PodTrace {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Oldest first: the start, unless an agent before this one saw it, and the newest few restarts. */
  readonly sections: readonly TraceSection[];
}

export interface TraceSection {
  /** Counts all sections of the pod from 0, those included that are no longer kept. */
  readonly number: number;
  /** What it is about: the pod's start, or what followed when a container or the sandbox ended. */
  readonly cause: 'start' | 'containerEnded' | 'sandboxEnded';
  /** The container that ended. */
  readonly container?: string;
  /** Wall time, ms since the epoch, with fractions. */
  readonly startedAt: number;
  /** What was reached; absent while it was not. */
  readonly outcome?: TraceOutcome;
  /** From `startedAt` until the API server had been told of the outcome. */
  readonly durationMs?: number;
  /** How many of the oldest spans are no longer kept. */
  readonly droppedSpans: number;
  /** Each parent before its children, siblings in order of their start. The first is the section itself. */
  readonly spans: readonly TraceSpan[];
}

export interface TraceSpan {
  /** Counts from 1 within the section. */
  readonly id: number;
  /** Absent for the section's own span. */
  readonly parent?: number;
  readonly name: string;
  readonly container?: string;
  readonly restartCount?: number;
  readonly detail?: string;
  /** Since the section's `startedAt`; a fraction of a millisecond counts. */
  readonly startMs: number;
  /** 0 for an instant; absent while it lasts. */
  readonly durationMs?: number;
  /** Why it failed. */
  readonly error?: string;
}

/** What was recorded of a pod as a tree of spans: section, then sandbox and containers, then what was done. Pure. */
export function podTrace(pod: Pod, sections: readonly RecordedSection[]): PodTrace {
  const { namespace = '', name = '', uid = '' } = pod.metadata;
  return { namespace, name, uid, sections: sections.map(sectionOf) };
}

function sectionOf(section: RecordedSection): TraceSection {
  const { container, start, end, outcome } = section;
  const cause = container === undefined ? 'start' : container === '' ? 'sandboxEnded' : 'containerEnded';
  const title = cause === 'start' ? 'pod start' : `${container === '' ? 'sandbox' : container} ended`;
  return {
    number: section.number,
    cause,
    ...(container ? { container } : {}),
    startedAt: start + section.toWall,
    ...(outcome === undefined ? {} : { outcome }),
    ...(end === undefined ? {} : { durationMs: end - start }),
    droppedSpans: section.dropped,
    spans: spansOf(section, title),
  };
}

interface Group {
  readonly name: string;
  readonly subject: TraceSubject | undefined;
  readonly spans: RecordedSpan[];
}

function spansOf(section: RecordedSection, title: string): TraceSpan[] {
  // A span of the pod stands alone; those of a sandbox or an instance of a container stand together.
  const groups = new Map<unknown, Group>();
  for (const span of section.spans) {
    const { container, restartCount, sandbox } = span.subject;
    const name = sandbox ? 'sandbox' : `${container}${restartCount ? ` (restart ${restartCount})` : ''}`;
    const key = sandbox || container !== undefined ? name : span;
    const group = groups.get(key);
    if (group) group.spans.push(span);
    else groups.set(key, { name, subject: key === span ? undefined : span.subject, spans: [span] });
  }
  const spans: TraceSpan[] = [];
  const add = (
    name: string,
    parent: number | undefined,
    { start, end }: Pick<RecordedSpan, 'start' | 'end'>,
    subject?: TraceSubject,
    told?: RecordedSpan,
  ): number => {
    const id = spans.length + 1;
    spans.push({
      id,
      ...(parent === undefined ? {} : { parent }),
      name,
      ...(subject?.container === undefined ? {} : { container: subject.container }),
      ...(subject?.restartCount === undefined ? {} : { restartCount: subject.restartCount }),
      ...(told?.detail === undefined ? {} : { detail: told.detail }),
      startMs: start - section.start,
      ...(end === undefined ? {} : { durationMs: end - start }),
      ...(told?.error === undefined ? {} : { error: told.error }),
    });
    return id;
  };
  const root = add(title, undefined, section);
  const ordered = [...groups.values()].map((group) => ({ ...group, spans: group.spans.sort(byStart) }));
  for (const { name, subject, spans: members } of ordered.sort((a, b) => byStart(a.spans[0]!, b.spans[0]!))) {
    const parent = subject ? add(name, root, extentOf(members), subject) : root;
    for (const span of members) add(span.name, parent, span, subject, span);
  }
  return spans;
}

function byStart(a: RecordedSpan, b: RecordedSpan): number {
  return a.start - b.start;
}

/** From the first beginning to the last end. */
function extentOf(spans: readonly RecordedSpan[]): { start: number; end: number | undefined } {
  const start = Math.min(...spans.map((span) => span.start));
  const ends = spans.map(({ end }) => end);
  return { start, end: ends.includes(undefined) ? undefined : Math.max(...(ends as number[])) };
}
