import type { Container, ContainerStatus, Event, Pod } from '../../api/generated/types.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { podRow } from '../../api/print-pod.ts';
import { parseTime } from '../../api/time.ts';
import type { ProbeRecord } from '../../kubelet/ports.ts';
import { latency, timeLeft } from './duration.ts';
import { eventTime, instanceId, newest } from './explain-container.ts';
import { explainPod } from './explain-pod.ts';
import type { Explanation } from './explanation.ts';
import { isGood, probeTarget } from './probe-words.ts';
import { displayWidth, plainText, type Style, shorten, wrap } from './style.ts';

/** Everything that the live view shows of one pod. */
export interface PodView {
  readonly pod: Pod;
  readonly events: readonly Event[];
  /** Newest results first; empty when the kubelet cannot be asked. */
  readonly probes: readonly ProbeRecord[];
  /** Bytes of the pulls under way on the node, when it says so. */
  readonly pull?: { readonly doneBytes: number; readonly totalBytes: number } | undefined;
  /** Wall time, ms since the epoch. */
  readonly now: number;
}

/**
 * One pod as a block of lines: its status, its containers in the order in which they start, under each running one its probes
 * with the last results, and what it waits for. Pure. @param width columns of the terminal
 */
export function renderPod(view: PodView, width: number, style: Style): string[] {
  const { pod, now } = view;
  const explanation = explainOf(view);
  const row = podRow(pod, now);
  const paint = paintOf(explanation, style);
  const lines = [
    `${paint(symbolOf(explanation))} ${style.bold(pod.metadata.name ?? '')}  ${paint(row.status)}  ${style.dim(`ready ${row.ready}  age ${row.age}${row.ip === '<none>' ? '' : `  ${row.ip}`}`)}`,
  ];
  const containers = containersOf(pod);
  const nameWidth = Math.max(...containers.map((c) => c.container.name.length));
  for (const { container, status, init } of containers) {
    const { mark, words, tone } = describeNow(view, container, status, init);
    const restarts = status && status.restartCount > 0 ? style.dim(`  restarts: ${status.restartCount}`) : '';
    lines.push(
      `  ${style[tone](mark)} ${container.name.padEnd(nameWidth)}  ${style.dim(init ? 'init' : 'app ')}  ${words}${restarts}`,
    );
    if (status?.state?.running)
      lines.push(...probesOf(view, container, status).map((p) => `      ${probeLine(p, now, style)}`));
  }
  if (explanation.verdict !== 'ready' && explanation.verdict !== 'succeeded') {
    lines.push(...wrap(explanation.headline, width, '  ').map(paint));
    const [cause] = explanation.causes;
    // What a probe waits for stands in its own line already.
    if (cause && explanation.verdict !== 'waiting') {
      lines.push(...cause.evidence.slice(0, 3).flatMap((e) => wrap(e, width, '    - ').map(style.dim)));
      if (cause.advice) lines.push(...wrap(cause.advice, width, '    > '));
    }
  }
  return lines.map((line) => shorten(line, width));
}

/**
 * The same facts for output that cannot be repainted: one text per thing that can change, without anything that merely ticks, so
 * that whoever prints what differs from before prints each change once.
 */
export function podFacts(view: PodView): Map<string, string> {
  const { pod } = view;
  const name = pod.metadata.name ?? '';
  const facts = new Map<string, string>();
  const timeless = { ...view, now: Number.NaN };
  for (const { container, status, init } of containersOf(pod)) {
    const id = `${name}/${container.name}`;
    const { words } = describeNow(timeless, container, status, init);
    facts.set(id, `${id}: ${words}${status && status.restartCount > 0 ? ` (restart ${status.restartCount})` : ''}`);
    for (const record of probesOf(view, container, status)) {
      const [last] = record.results;
      if (!last) continue;
      const output = plainText(last.output);
      const tail = last.outcome === 'success' || output === '' ? '' : `: ${output}`;
      facts.set(`${id} ${record.type}`, `${id}: ${record.type} probe ${OUTCOME[last.outcome]}${tail}`);
    }
  }
  const { verdict, headline, causes } = explainOf(view);
  const settled = verdict === 'ready' || verdict === 'succeeded' || verdict === 'failed' ? headline : STAGE[verdict];
  // A pod that is meant to end is not about being ready.
  if (!finishes(pod) || (verdict !== 'ready' && verdict !== 'waiting')) facts.set(name, `${name}: ${settled}`);
  const [cause] = causes;
  if (verdict === 'failing' && cause?.advice)
    facts.set(`${name} advice`, `${name}: ${cause.text.replace(/;.*/, '')}: ${cause.advice}`);
  return facts;
}

/** Whether the pod is meant to come to an end by itself. */
export function finishes(pod: Pod): boolean {
  return (pod.spec?.restartPolicy ?? 'Always') !== 'Always';
}

const STAGE = { waiting: 'not ready yet', failing: 'not ready: something fails', terminating: 'terminating' } as const;
const OUTCOME = {
  success: 'succeeded',
  warning: 'succeeded',
  failure: 'failed',
  unknown: 'could not be made',
} as const;

function explainOf({ pod, events, probes, now }: PodView): Explanation {
  return explainPod(pod, events, probes, now);
}

function containersOf(pod: Pod): { container: Container; status: ContainerStatus | undefined; init: boolean }[] {
  const of = (
    specs: readonly Container[] | undefined,
    statuses: readonly ContainerStatus[] | undefined,
    init: boolean,
  ) =>
    (specs ?? []).map((container) => ({ container, status: statuses?.find((s) => s.name === container.name), init }));
  return [
    ...of(pod.spec?.initContainers, pod.status?.initContainerStatuses, true),
    ...of(pod.spec?.containers, pod.status?.containerStatuses, false),
  ];
}

type Tone = 'good' | 'bad' | 'warn' | 'dim';

/** What one container does now. With `now` NaN, no time that ticks is in the words. */
function describeNow(
  view: PodView,
  container: Container,
  status: ContainerStatus | undefined,
  init: boolean,
): { mark: string; tone: Tone; words: string } {
  const { events, now, pull } = view;
  const ticking = !Number.isNaN(now);
  const state = status?.state;
  if (state?.running) {
    const started = parseTime(state.running.startedAt);
    const since = started === undefined || !ticking ? '' : ` for ${humanDuration(Math.max(0, now - started))}`;
    if (init && container.restartPolicy !== 'Always') return { mark: '●', tone: 'warn', words: `running${since}` };
    if (status?.ready) return { mark: '●', tone: 'good', words: `running${since}, ready` };
    const what = status?.started ? 'not ready' : 'starting';
    return { mark: '●', tone: 'warn', words: `running${since}, ${what}` };
  }
  if (state?.terminated) {
    const { exitCode, reason, startedAt, finishedAt } = state.terminated;
    const span = (parseTime(finishedAt) ?? 0) - (parseTime(startedAt) ?? 0);
    const took = span >= 1000 ? `, took ${humanDuration(span)}` : '';
    if (exitCode === 0) return { mark: '✓', tone: 'good', words: `done${took}` };
    const why = reason && reason !== 'Error' ? ` (${reason})` : '';
    return { mark: '✗', tone: 'bad', words: `ended with exit code ${exitCode}${why}` };
  }
  const reason = state?.waiting?.reason ?? '';
  if (!['', 'ContainerCreating', 'PodInitializing'].includes(reason)) {
    const last = status?.lastState?.terminated;
    const ended = last ? `: last exit code ${last.exitCode}` : '';
    return { mark: '✗', tone: 'bad', words: `${reason}${ended}` };
  }
  const mine = events.filter((e) => e.involvedObject.fieldPath?.endsWith(`{${container.name}}`));
  const last = newest(mine, (e) => ['Pulling', 'Pulled', 'Failed'].includes(e.reason ?? ''));
  if (last?.reason === 'Pulling') {
    const at = eventTime(last);
    const since = at === undefined || !ticking ? '' : ` for ${humanDuration(Math.max(0, now - at))}`;
    const progress = pull && ticking ? `, ${bytes(pull.doneBytes)} of ${bytes(pull.totalBytes)}` : '';
    return { mark: '◌', tone: 'warn', words: `pulling image ${container.image}${since}${progress}` };
  }
  if (last?.reason === 'Pulled') return { mark: '·', tone: 'dim', words: 'waiting, its image is here' };
  return { mark: '·', tone: 'dim', words: 'waiting' };
}

/** The probes of the instance that runs now. */
function probesOf(view: PodView, container: Container, status: ContainerStatus | undefined): ProbeRecord[] {
  const id = instanceId(status?.containerID);
  const order = { startup: 0, readiness: 1, liveness: 2 };
  return view.probes
    .filter((p) => p.container === container.name && (id === undefined || p.containerId === id))
    .sort((a, b) => order[a.type] - order[b.type]);
}

/** How many results fit into the strip of a probe's line. */
const STRIP = 10;

/** `readiness  ✓✗✗  GET :3000/ready  next in 4s  HTTP probe failed with statuscode: 500 (3ms)`: what may be cut is last. */
function probeLine(record: ProbeRecord, now: number, style: Style): string {
  const strip = record.results
    .slice(0, STRIP)
    .toReversed()
    .map((r) => (isGood(r) ? style.good('✓') : r.outcome === 'failure' ? style.bad('✗') : style.dim('?')))
    .join('');
  const [last] = record.results;
  const next = record.nextAt === undefined ? '' : `next in ${timeLeft(record.nextAt - now)}`;
  const output = last && !isGood(last) ? plainText(last.output) : '';
  const result = last ? `${output}${output === '' ? '' : ' '}(${latency(last.latencyMs)})` : '';
  const pad = ' '.repeat(Math.max(0, STRIP - displayWidth(strip)));
  const details = [probeTarget(record.probe), next, result].filter((w) => w !== '').join('  ');
  return `${record.type.padEnd(9)}  ${strip}${pad}  ${style.dim(details)}`;
}

function paintOf({ verdict }: Explanation, style: Style): (text: string) => string {
  if (verdict === 'ready' || verdict === 'succeeded') return style.good;
  return verdict === 'failing' || verdict === 'failed' ? style.bad : style.warn;
}

function symbolOf({ verdict }: Explanation): string {
  const symbols = { ready: '●', succeeded: '✓', waiting: '◌', failing: '✗', terminating: '◌', failed: '✗' };
  return symbols[verdict];
}

function bytes(n: number): string {
  return n < 1_000_000 ? `${Math.ceil(n / 1000)} kB` : `${(n / 1_000_000).toFixed(1)} MB`;
}
