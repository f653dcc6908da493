import type { ClientForecast, Forecast, PodForecast, Step } from '../../simulator/forecast/forecast.ts';
import type { PodAdvice } from '../../simulator/forecast/lint-pod.ts';
import type { ReactionTimes } from '../../simulator/forecast/reaction-times.ts';
import { count } from '../view/probe-words.ts';
import { plainText, type Style, shorten, wrap } from '../view/style.ts';
import { type FoldedStep, foldSteps } from './fold-steps.ts';

type Tone = keyof Style;

/** What is printed: the timeline, then what it comes to, then what should be changed. Pure. @param width columns, or infinity */
export function renderForecast(forecast: Forecast, width: number, style: Style): string[] {
  const { steps, forMs, pods, clients, reactions, notes, warnings } = forecast;
  const rows = foldSteps(steps);
  const layout = layoutOf(rows);
  const line = (row: FoldedStep): string => timelineLine(row, layout, style);
  const life = rows.filter((r) => r.atMs < forMs);
  const end = rows.filter((r) => r.atMs >= forMs);
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', style.bold(title), ...lines];
  const errors = clients.flatMap((c) => clientLines(c, forMs)).map((l) => `  ${l}`);
  const lines = [
    style.bold('What will happen, in seconds of virtual time since the objects are created'),
    ...life.map(line),
    ...section(`Deleted at ${seconds(forMs)}`, end.map(line)),
    ...section(
      'Pods',
      pods.flatMap((p) => wrap(podWords(p), width, `  ${p.pod}: `)),
    ),
    ...section('What clients see', errors),
    ...section(
      'When a container that was well stops answering',
      reactions.flatMap((r) => wrap(reactionWords(r), width, `  ${r.pod}/${r.container}: `)),
    ),
    ...section(
      'Without effect',
      notes.flatMap((n) => wrap(n, width, '  ! ')),
    ),
    ...section(
      'Probes to change',
      warnings.flatMap((w) => warningLines(w, width, style)),
    ),
  ];
  return lines.map((l) => shorten(l, width));
}

interface Layout {
  readonly timeWidth: number;
  readonly whoWidth: number;
}

function layoutOf(rows: readonly FoldedStep[]): Layout {
  return {
    timeWidth: Math.max(6, ...rows.map((r) => seconds(r.atMs).length + 2)),
    whoWidth: Math.max(...rows.map((r) => whoOf(r).length)),
  };
}

function timelineLine(row: FoldedStep, { timeWidth, whoWidth }: Layout, style: Style): string {
  const { mark, tone } = LOOKS[lookOf(row)];
  const repeats = row.repeats === 0 ? '' : style.dim(`, then ${repeatWords(row)}`);
  return `${style.dim(seconds(row.atMs).padStart(timeWidth))}  ${whoOf(row).padEnd(whoWidth)}  ${style[tone](`${mark} ${plainText(row.text)}`)}${repeats}`;
}

function repeatWords({ repeats, lastAtMs, probe }: FoldedStep): string {
  const every = probe?.counts ? ` every ${probe.periodMs / 1000} s` : '';
  return repeats === 1 ? `again at ${seconds(lastAtMs)}` : `${repeats} times${every} until ${seconds(lastAtMs)}`;
}

const LOOKS = {
  good: { mark: '✓', tone: 'good' },
  bad: { mark: '✗', tone: 'bad' },
  warn: { mark: '!', tone: 'warn' },
  calm: { mark: '·', tone: 'dim' },
} as const satisfies Record<string, { mark: string; tone: Tone }>;

function lookOf({ kind, probe, exitCode, restart, asked }: Step): keyof typeof LOOKS {
  switch (kind) {
    case 'probe':
      return probe!.outcome === 'success' ? 'good' : probe!.counts ? 'bad' : 'calm';
    case 'ready':
    case 'containerReady':
    case 'routed':
      return 'good';
    case 'exited':
      return exitCode === 0 || asked ? 'calm' : 'bad';
    case 'started':
      return restart ? 'warn' : 'calm';
    case 'notReady':
    case 'containerNotReady':
    case 'unrouted':
    case 'killing':
    case 'backOff':
    case 'agentDied':
    case 'runtimeDied':
      return 'warn';
    case 'problem':
      return 'bad';
    default:
      return 'calm';
  }
}

function whoOf({ pod, container, service, kind }: Step): string {
  if (pod === undefined)
    return service === undefined ? (kind.startsWith('runtime') ? 'containerd' : 'kubelette') : `service/${service}`;
  return container === undefined ? pod : `${pod}/${container}`;
}

function podWords({ phase, ready, readyAtMs, restarts, deletion }: PodForecast): string {
  const start = readyAtMs === undefined ? 'never Ready' : `Ready after ${seconds(readyAtMs)} s`;
  const end = phase === 'Running' ? (ready ? 'Ready at the end' : 'not Ready at the end') : `${phase} at the end`;
  return [start, restarts === 0 ? 'no restarts' : count(restarts, 'restart'), end, deletionWords(deletion)]
    .filter((w) => w !== '')
    .join(', ');
}

function deletionWords(deletion: PodForecast['deletion']): string {
  if (!deletion) return '';
  const { askedAtMs, goneAtMs, atMostMs } = deletion;
  if (goneAtMs === undefined) return 'kubectl delete does not end';
  const most = atMostMs > goneAtMs - askedAtMs ? ` (${seconds(atMostMs)} s if its processes ignore SIGTERM)` : '';
  return `kubectl delete takes ${seconds(goneAtMs - askedAtMs)} s${most}`;
}

function clientLines({ target, servedAtMs, errors, errorMs }: ClientForecast, forMs: number): string[] {
  if (servedAtMs === undefined) return [`${target}: no request succeeds`];
  const begin = `${target}: served from ${seconds(servedAtMs)}`;
  if (errors.length === 0) return [`${begin}, no errors`];
  const spans = errors.map(({ fromMs, toMs, share }) => {
    const part = share === 1 ? '' : `${Math.round(share * 100)} % of requests `;
    return `${part}${seconds(fromMs)} to ${toMs >= forMs ? 'the end' : seconds(toMs)}`;
  });
  return [`${begin}; errors for ${seconds(errorMs)} s: ${spans.join(', ')}`];
}

function reactionWords({ restart, unrouted, graceMs }: ReactionTimes): string {
  const killed = restart
    ? `gets SIGTERM ${range(restart)} later and is started again when it has ended, ${graceMs / 1000} s later at most`
    : 'is never restarted (no liveness probe)';
  const left = unrouted ? `not Ready ${range(unrouted)} later` : 'Ready until it ends (no readiness probe)';
  return `${left}; ${killed}`;
}

function range({ earliestMs, latestMs }: { earliestMs: number; latestMs: number }): string {
  return `${earliestMs / 1000} to ${latestMs / 1000} s`;
}

function warningLines(
  { place, field, pod, container, message, advice }: PodAdvice,
  width: number,
  style: Style,
): string[] {
  return [
    style.warn(`  ! ${place === undefined ? '' : `${place}: `}${field}`),
    ...wrap(`${pod}/${container}: ${message}`, width, '    '),
    ...wrap(advice, width, '    > '),
  ];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
