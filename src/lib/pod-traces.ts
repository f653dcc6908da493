import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';

/** Whom a span is about: the pod as a whole, its sandbox, or one instance of a container. */
export interface TraceSubject {
  readonly podUID: string;
  /** A container's name. */
  readonly container?: string | undefined;
  readonly restartCount?: number | undefined;
  readonly sandbox?: boolean | undefined;
}

/** Something that took time. All times are monotonic milliseconds. */
export interface RecordedSpan {
  readonly subject: TraceSubject;
  readonly name: string;
  detail: string | undefined;
  readonly start: number;
  /** Undefined while it lasts; the same as `start` for an instant. */
  end: number | undefined;
  /** Why it failed. */
  error: string | undefined;
}

/** What led to what: a pod's start, or what followed when one of its containers (or its sandbox) ended. */
export interface RecordedSection {
  /** Counts the pod's sections from 0. */
  readonly number: number;
  /** Who ended; undefined for the pod's start, '' for the sandbox. */
  readonly container: string | undefined;
  readonly start: number;
  /** Added to monotonic times, it gives wall times in ms since the epoch. */
  readonly toWall: number;
  /** When the API server had been told of the outcome. */
  end: number | undefined;
  outcome: TraceOutcome | undefined;
  /** In the order in which they began or, when they were told afterwards, ended. */
  readonly spans: RecordedSpan[];
  /** How many of the oldest spans are no longer kept. */
  dropped: number;
}

export type TraceOutcome = 'Ready' | 'Succeeded' | 'Failed';

interface OpenSection extends RecordedSection {
  /** Who must run again before the section can end. */
  readonly awaited: Set<string>;
  /** Who has been started in it. */
  readonly started: Set<string>;
}

interface PodRecord {
  /** The start, if it was seen, and the newest of the others. */
  readonly sections: OpenSection[];
  nextNumber: number;
  /** Runtime ids by container name, '' for the sandbox: the newest of each. */
  readonly ids: Map<string, string>;
  /** It is being deleted: what happens now is of no interest. */
  closed: boolean;
}

/** How many sections are kept of a pod besides its start. */
const MAX_RESTARTS = 5;
const MAX_SPANS = 200;
/** What comes of a pod's being Ready (endpoints, the kernel's rules) still belongs to the section. */
const TRAIL_MS = 1000;
const MAX_ERROR_CHARACTERS = 200;

/**
 * Keeps in memory where the time went when pods started and restarted: per pod a few sections of at most 200 spans each, for as long
 * as the pod exists. What is told of a pod that is not known, or when nothing is going on with it, costs one look into a map.
 */
export class PodTraces {
  private readonly clock: Clock;
  private readonly pods = new Map<string, PodRecord>();
  private readonly subjects = new Map<string, TraceSubject>();
  private toWall = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  // --- pods come and go

  /** A pod begins to exist. @param at when what led to it began, monotonic ms */
  created(podUID: string, at: number): void {
    if (!this.pods.has(podUID)) this.open(this.add(podUID), undefined, at);
  }

  /** A pod is looked after from now on. @param isNew nothing has been done for it before: this is its start */
  followed(podUID: string, isNew: boolean): void {
    if (this.pods.has(podUID)) return;
    const pod = this.add(podUID);
    if (isNew) this.open(pod, undefined, this.clock.monotonic());
  }

  /** It is being deleted: nothing more is recorded. */
  close(podUID: string): void {
    const pod = this.pods.get(podUID);
    if (pod) pod.closed = true;
  }

  /** It is gone. */
  forget(podUID: string): void {
    for (const id of this.pods.get(podUID)?.ids.values() ?? []) this.subjects.delete(id);
    this.pods.delete(podUID);
  }

  /** The pod's sections, oldest first; undefined when nothing is known of it. */
  sections(podUID: string): readonly RecordedSection[] | undefined {
    return this.pods.get(podUID)?.sections;
  }

  // --- who has which id in the runtime

  /** From now on `id` is this container's (or sandbox's) id in the runtime. */
  named(id: string, subject: TraceSubject): void {
    const pod = this.pods.get(subject.podUID);
    if (!pod) return;
    const key = subject.container ?? '';
    const before = pod.ids.get(key);
    if (before !== undefined) this.subjects.delete(before);
    pod.ids.set(key, id);
    this.subjects.set(id, subject);
  }

  /** Whose id in the runtime this is, if it is the newest of its kind. */
  subjectOf(id: string): TraceSubject | undefined {
    return this.subjects.get(id);
  }

  // --- spans

  /** Runs `call` and records how long it took, and whether it failed. Resolves and rejects as `call` does, and no later. */
  measure<T>(subject: TraceSubject | undefined, name: string, call: () => Promise<T>, detail?: string): Promise<T> {
    const section = this.current(subject);
    if (!section || !subject) return call();
    const span = { subject, name, detail, start: this.clock.monotonic(), end: undefined, error: undefined };
    push(section, span);
    const result = call();
    void result.then(
      () => this.finish(span),
      (error: unknown) => this.finish(span, messageOf(error)),
    );
    return result;
  }

  /**
   * Records what is over. What began before the section did belongs to none.
   * @param start monotonic ms; by default now, for an instant. @param end by default now
   */
  note(subject: TraceSubject | undefined, name: string, detail?: string, start?: number, end?: number): void {
    const section = this.current(subject);
    if (!section || !subject) return;
    const now = this.clock.monotonic();
    if (start !== undefined && start < section.start) return;
    push(section, { subject, name, detail, start: start ?? now, end: end ?? now, error: undefined });
  }

  private finish(span: RecordedSpan, error?: string): void {
    span.end = this.clock.monotonic();
    if (error !== undefined) span.error = error.slice(0, MAX_ERROR_CHARACTERS);
  }

  // --- sections

  /**
   * A container that the pod needs ended or is about to, or its sandbox did: unless something is going on that this belongs to, a new
   * section begins.
   * @param at when that began, monotonic ms
   */
  interrupted(subject: TraceSubject, at = this.clock.monotonic()): void {
    const pod = this.pods.get(subject.podUID);
    if (!pod || pod.closed) return;
    const name = subject.container ?? '';
    const last = pod.sections.at(-1);
    const goesOn = last !== undefined && last.end === undefined && !last.started.has(name);
    (goesOn ? last : this.open(pod, name, at)).awaited.add(name);
  }

  /** A container, or a sandbox, runs. */
  started(subject: TraceSubject | undefined): void {
    const section = this.current(subject);
    const name = subject?.container ?? '';
    section?.awaited.delete(name);
    section?.started.add(name);
  }

  /**
   * The API server knows of the outcome. A pod counts as Ready again only after everything that ended runs again.
   * @param since when it began to be told, monotonic ms
   */
  settled(podUID: string, outcome: TraceOutcome, since: number): void {
    const section = this.pods.get(podUID)?.sections.at(-1);
    if (!section || section.end !== undefined || since < section.start) return;
    if (outcome === 'Ready' && section.awaited.size > 0) return;
    section.end = this.clock.monotonic();
    section.outcome = outcome;
  }

  /** A wall time (ms since the epoch) as monotonic time. */
  monotonicOf(wallMs: number): number {
    return wallMs - this.offset();
  }

  private add(podUID: string): PodRecord {
    const pod = { sections: [], nextNumber: 0, ids: new Map(), closed: false };
    this.pods.set(podUID, pod);
    return pod;
  }

  private open(pod: PodRecord, container: string | undefined, start: number): OpenSection {
    const section: OpenSection = {
      number: pod.nextNumber++,
      container,
      start,
      toWall: this.offset(),
      end: undefined,
      outcome: undefined,
      spans: [],
      dropped: 0,
      awaited: new Set(),
      started: new Set(),
    };
    pod.sections.push(section);
    const hasStart = pod.sections[0]!.container === undefined;
    if (pod.sections.length > MAX_RESTARTS + Number(hasStart)) pod.sections.splice(Number(hasStart), 1);
    return section;
  }

  /** The section that takes what is told of this pod now. */
  private current(subject: TraceSubject | undefined): OpenSection | undefined {
    const pod = subject && this.pods.get(subject.podUID);
    const section = pod?.sections.at(-1);
    if (!section || pod?.closed) return undefined;
    return section.end !== undefined && this.clock.monotonic() > section.end + TRAIL_MS ? undefined : section;
  }

  /** Wall minus monotonic time. The wall clock tells whole milliseconds, so the greatest difference seen is the truest. */
  private offset(): number {
    const seen = this.clock.now() - this.clock.monotonic();
    if (seen > this.toWall || seen < this.toWall - 2) this.toWall = seen;
    return this.toWall;
  }
}

function push(section: RecordedSection, span: RecordedSpan): void {
  section.spans.push(span);
  if (section.spans.length <= MAX_SPANS) return;
  section.spans.shift();
  section.dropped++;
}
