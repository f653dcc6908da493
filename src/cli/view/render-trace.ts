import type { PodTrace, TraceSection, TraceSpan } from '../../kubelet/trace/pod-trace.ts';
import { displayWidth, plainText, type Style, shorten } from './style.ts';

/** Columns that a name may take, and that a bar needs at least. */
const MAX_NAME = 48;
const MIN_BAR = 10;
const EIGHTHS = ' ▏▎▍▌▋▊▉█';

/** A pod's trace as waterfalls, one for each section: what was done, when it began, how long it took, and a bar. @param width columns */
export function renderTrace(trace: PodTrace, width: number, style: Style): string[] {
  return trace.sections.flatMap((section, i) => [
    ...(i === 0 ? [] : ['']),
    ...renderSection(trace, section, width, style),
  ]);
}

function renderSection(trace: PodTrace, section: TraceSection, width: number, style: Style): string[] {
  const depths = depthsOf(section.spans);
  const names = section.spans.map((span, i) => shorten(`${'  '.repeat(depths[i]!)}${labelOf(span)}`, MAX_NAME));
  const starts = section.spans.map((span) => span.startMs.toFixed(1));
  const took = section.spans.map(tookOf);
  const columns = [names, starts, took].map((cells) => Math.max(...cells.map(displayWidth)));
  const [nameWidth, startWidth, tookWidth] = [columns[0]!, Math.max(5, columns[1]!), Math.max(4, columns[2]!)];
  const barWidth = Math.max(MIN_BAR, width - nameWidth - startWidth - tookWidth - 6);
  const total = Math.max(...section.spans.map((span) => span.startMs + (span.durationMs ?? 0)), 0.001);
  const head = ['ms'.padEnd(nameWidth), 'began'.padStart(startWidth), 'took'.padStart(tookWidth)].join('  ');
  const lines = section.spans.map((span, i) => {
    const isGroup = section.spans[i + 1]?.parent === span.id;
    const cells = [
      names[i]! + ' '.repeat(nameWidth - displayWidth(names[i]!)),
      starts[i]!.padStart(startWidth),
      took[i]!.padStart(tookWidth),
    ].join('  ');
    const bar = barOf(span, total, barWidth);
    const paint = span.error !== undefined ? style.bad : isGroup ? style.bold : (text: string) => text;
    const line = `${paint(cells)}  ${span.error !== undefined ? style.bad(bar) : isGroup ? style.dim(bar) : style.good(bar)}`;
    return line.trimEnd();
  });
  const errors = section.spans
    .filter((span) => span.error !== undefined)
    .map((span) => style.bad(shorten(`${span.name} failed: ${plainText(span.error!)}`, width)));
  const dropped =
    section.droppedSpans > 0 ? [style.dim(`(${section.droppedSpans} older spans are no longer kept)`)] : [];
  return [style.bold(headline(trace, section)), '', style.dim(head), ...lines, ...errors, ...dropped];
}

function headline({ namespace, name }: PodTrace, section: TraceSection): string {
  const at = new Date(section.startedAt).toISOString().slice(0, -1).replace('T', ' ');
  const what = {
    start: 'start',
    containerEnded: `container ${section.container} ended`,
    sandboxEnded: 'sandbox ended',
  }[section.cause];
  const end =
    section.outcome === undefined
      ? 'not Ready yet'
      : `${section.outcome} after ${(section.durationMs ?? 0).toFixed(1)} ms`;
  return `pod ${namespace}/${name}: ${what} at ${at} UTC, ${end}`;
}

function labelOf({ name, detail }: TraceSpan): string {
  return plainText(detail === undefined ? name : `${name} (${detail})`);
}

function tookOf({ durationMs }: TraceSpan): string {
  if (durationMs === undefined) return '...';
  return durationMs === 0 ? '' : durationMs.toFixed(1);
}

function depthsOf(spans: readonly TraceSpan[]): number[] {
  const depths = new Map<number, number>();
  return spans.map(({ id, parent }) => {
    const depth = parent === undefined ? 0 : (depths.get(parent) ?? 0) + 1;
    depths.set(id, depth);
    return depth;
  });
}

/** A bar in eighths of a column at its end; what is too short for that, or an instant, is a line. */
function barOf({ startMs, durationMs }: TraceSpan, total: number, width: number): string {
  const scale = width / total;
  const from = Math.min(width - 1, Math.max(0, Math.floor(startMs * scale)));
  const to = durationMs === undefined ? width : Math.min(width, (startMs + durationMs) * scale);
  const eighths = Math.max(1, Math.round((to - from) * 8));
  const bar = '█'.repeat(eighths >> 3) + (eighths % 8 === 0 ? '' : EIGHTHS[eighths % 8]!);
  return ' '.repeat(from) + (durationMs === 0 ? '│' : bar);
}
