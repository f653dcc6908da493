import type {
  ClientForecast,
  ContainerForecast,
  Forecast,
  LaneState,
  Step,
} from '../../simulator/forecast/forecast.ts';
import { count } from '../view/probe-words.ts';
import { shorten } from '../view/style.ts';

const WIDTH = 1080;
const LEFT = 190;
const RIGHT = 24;
const TOP = 76;
const POD_HEIGHT = 30;
const LANE_HEIGHT = 24;
const PROBE_HEIGHT = 15;
const BAR_HEIGHT = 14;
const GAP = 10;
/** Characters of a lane's label, of a pod's name, of the names in the title. */
const LABEL_LENGTH = 26;
const POD_LENGTH = 20;
const TITLE_LENGTH = 90;
/** Of a character of a label, on average, at most; and between two labels. */
const CHARACTER_WIDTH = 7;
const LABEL_GAP = 6;
const LEGEND_HEIGHT = 34;
const LEGEND_LINE = 20;
/** Distances between marks of the axis, in seconds; the first that gives no more than `MAX_TICKS`. */
const TICKS_S = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400];
const MAX_TICKS = 14;

type Anchor = 'start' | 'middle' | 'end';

/** Light and dark; checks differ in their shape as well as in their colour. */
const STYLE = `
  svg { --ink: #1f2328; --dim: #59636e; --line: #d1d9e0; --back: #ffffff; --band: #f6f8fa;
    --pulling: #8c959f; --init: #8250df; --running: #d4a72c; --ready: #2da44e; --stopping: #bc4c00; --backOff: #eac7c2;
    --good: #1a7f37; --bad: #cf222e; background: var(--back); font: 12px system-ui, 'DejaVu Sans', sans-serif; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --dim: #9198a1; --line: #3d444d; --back: #0d1117; --band: #151b23;
      --pulling: #656c76; --init: #ab7df8; --running: #d29922; --ready: #3fb950; --stopping: #db6d28; --backOff: #5d2b2b;
      --good: #3fb950; --bad: #f85149; } }
  text { fill: var(--ink); } .dim { fill: var(--dim); } .title { font-size: 15px; font-weight: 600; } .pod { font-weight: 600; }
  .grid { stroke: var(--line); } .band { fill: var(--band); } .back { fill: var(--back); }
  .pulling { fill: var(--pulling); } .init { fill: var(--init); } .running { fill: var(--running); } .ready { fill: var(--ready); }
  .stopping { fill: var(--stopping); } .backOff { fill: var(--backOff); } .error { fill: var(--bad); }
  .good { stroke: var(--good); stroke-width: 5; stroke-linecap: round; fill: none; }
  .bad { stroke: var(--bad); stroke-width: 1.8; stroke-linecap: round; fill: none; }
  .event { stroke: var(--bad); stroke-dasharray: 4 3; } .deletion { stroke: var(--dim); stroke-dasharray: 2 3; }
`;

const STATES: readonly (readonly [LaneState, string])[] = [
  ['pulling', 'pulls its image'],
  ['init', 'init container runs'],
  ['running', 'runs, not ready'],
  ['ready', 'ready'],
  ['stopping', 'told to stop'],
  ['backOff', 'back-off'],
];

/** A picture of the forecast as an SVG document: a lane for each container, its probes below, what clients see below that. Pure. */
export function drawForecast(forecast: Forecast): string {
  return new Picture(forecast).draw();
}

class Picture {
  private readonly forecast: Forecast;
  private readonly endMs: number;
  private readonly parts: string[] = [];
  private y = TOP;

  constructor(forecast: Forecast) {
    this.forecast = forecast;
    const last = Math.max(forecast.forMs, ...forecast.pods.map((p) => p.deletion?.goneAtMs ?? 0));
    this.endMs = last * 1.01;
  }

  draw(): string {
    const { pods, containers, clients, steps } = this.forecast;
    for (const { namespace, pod } of pods) {
      const isOurs = (of: { namespace?: string; pod?: string }): boolean =>
        of.namespace === namespace && of.pod === pod;
      this.drawPod(
        pod,
        containers.filter(isOurs),
        steps.filter(isOurs),
        clients.filter((c) => c.namespace === namespace && c.target === `pod/${pod}`),
      );
    }
    for (const client of clients.filter((c) => c.target.startsWith('service/'))) {
      this.parts.push(text(16, this.y + 12, client.target, 'pod'));
      this.y += LANE_HEIGHT;
      this.drawClient(client);
      this.y += GAP;
    }
    const legend = this.legend();
    const height = legend.endY + 16;
    const names = pods.map((p) => p.pod).join(', ');
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
      `<title>${escapeXml(`What ${names} will do`)}</title>`,
      `<style>${STYLE}</style>`,
      `<rect class="back" width="${WIDTH}" height="${height}"/>`,
      text(16, 28, `What ${shorten(names, TITLE_LENGTH)} will do`, 'title'),
      text(16, 48, 'simulated; seconds since the objects are created', 'dim'),
      ...this.grid(),
      ...this.parts,
      ...this.moments(),
      ...legend.parts,
      '</svg>\n',
    ].join('\n');
  }

  private drawPod(
    pod: string,
    containers: readonly ContainerForecast[],
    steps: readonly Step[],
    clients: readonly ClientForecast[],
  ): void {
    this.parts.push(`<rect class="band" x="0" y="${this.y}" width="${WIDTH}" height="${POD_HEIGHT - 6}"/>`);
    this.parts.push(text(16, this.y + 16, `pod ${shorten(pod, POD_LENGTH)}`, 'pod'));
    const label = new LabelLine();
    for (const step of steps.filter((s) => s.kind === 'ready' && s.atMs < this.forecast.forMs)) {
      this.parts.push(...label.at(this.x(step.atMs), this.y + 16, `Ready ${seconds(step.atMs)}`));
    }
    this.y += POD_HEIGHT;
    for (const container of containers) {
      this.drawLane(container);
      this.drawProbes(steps.filter((s) => s.container === container.container && s.probe));
    }
    for (const client of clients) this.drawClient(client);
    this.y += GAP;
  }

  private drawLane({ container, init, segments, restarts }: ContainerForecast): void {
    const notes = [init ? 'init' : '', restarts > 0 ? count(restarts, 'restart') : ''].filter((n) => n !== '');
    const tail = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
    this.parts.push(text(28, this.y + 12, `${shorten(container, LABEL_LENGTH - tail.length)}${tail}`));
    for (const { fromMs, toMs, state } of segments) {
      const words = STATES.find(([s]) => s === state)![1];
      this.parts.push(this.bar(state, fromMs, toMs, this.y, BAR_HEIGHT, `${container} ${words}`));
    }
    this.y += LANE_HEIGHT;
  }

  private drawProbes(steps: readonly Step[]): void {
    for (const type of ['startup', 'liveness', 'readiness'] as const) {
      const checks = steps.filter((s) => s.probe?.type === type);
      if (checks.length === 0) continue;
      const y = this.y + 3;
      this.parts.push(text(40, this.y + 7, `${type} probe`, 'dim'));
      const good = checks.filter((s) => s.probe!.outcome === 'success').map((s) => `M${this.x(s.atMs)} ${y}h0`);
      const bad = checks
        .filter((s) => s.probe!.outcome !== 'success' && s.probe!.counts)
        .map((s) => `M${this.x(s.atMs) - 3} ${y - 3}l6 6m-6 0l6 -6`);
      if (good.length > 0) this.parts.push(`<path class="good" d="${good.join('')}"/>`);
      if (bad.length > 0) this.parts.push(`<path class="bad" d="${bad.join('')}"/>`);
      this.y += PROBE_HEIGHT;
    }
  }

  private drawClient({ servedAtMs, errors, errorMs }: ClientForecast): void {
    const { forMs } = this.forecast;
    const label = errorMs === 0 ? 'a client' : `a client: ${seconds(errorMs)} s of errors`;
    const y = this.y + (errors.length === 0 && servedAtMs === undefined ? 0 : 1);
    this.parts.push(text(28, this.y + 10, label));
    if (servedAtMs !== undefined) {
      this.parts.push(this.bar('ready', servedAtMs, forMs, y, 8, 'requests succeed'));
      for (const { fromMs, toMs, share } of errors) {
        this.parts.push(this.bar('back', fromMs, toMs, y, 8, ''));
        const words = share === 1 ? 'requests fail' : `${Math.round(share * 100)} % of requests fail`;
        this.parts.push(this.bar('error', fromMs, toMs, y + 8 * (1 - share), 8 * share, words));
      }
    }
    this.y += LANE_HEIGHT;
  }

  /** What happens to the node, and where everything is deleted: lines from top to bottom. */
  private moments(): string[] {
    const label = new LabelLine();
    const line = (className: string, atMs: number, words: string): string[] => [
      `<line class="${className}" x1="${this.x(atMs)}" x2="${this.x(atMs)}" y1="${TOP - 8}" y2="${this.y}"/>`,
      ...label.at(this.x(atMs), TOP - 12, words, 'dim', atMs > this.endMs * 0.9 ? 'end' : 'middle'),
    ];
    return [
      ...line('deletion', this.forecast.forMs, 'deleted'),
      ...this.forecast.steps
        .filter((s) => s.kind === 'agentDied' || s.kind === 'runtimeDied')
        .flatMap((s) => line('event', s.atMs, s.kind === 'agentDied' ? 'kubelette killed' : 'containerd gone')),
    ];
  }

  private grid(): string[] {
    const tick = TICKS_S.find((s) => this.endMs / 1000 / s <= MAX_TICKS) ?? 86_400;
    const lines: string[] = [];
    for (let at = 0; at * 1000 <= this.endMs; at += tick) {
      const x = this.x(at * 1000);
      lines.push(`<line class="grid" x1="${x}" x2="${x}" y1="${TOP - 4}" y2="${this.y}"/>`);
      lines.push(text(x, this.y + 14, `${at}`, 'dim', 'middle'));
    }
    return lines;
  }

  private legend(): { parts: string[]; endY: number } {
    let y = this.y + LEGEND_HEIGHT;
    const used = STATES.filter(([state]) =>
      this.forecast.containers.some((c) => c.segments.some((s) => s.state === state)),
    );
    let x = 16;
    const parts: string[] = [];
    const entry = (mark: (x: number, y: number) => string, words: string): void => {
      const width = 40 + words.length * 6.6;
      if (x + width > WIDTH) {
        x = 16;
        y += LEGEND_LINE;
      }
      parts.push(mark(x, y), text(x + 18, y + 1, words, 'dim'));
      x += width;
    };
    for (const [state, words] of used) {
      entry((x, y) => `<rect class="${state}" x="${round(x)}" y="${y - 8}" width="12" height="10" rx="2"/>`, words);
    }
    entry((x, y) => `<path class="good" d="M${round(x + 6)} ${y - 3}h0"/>`, 'check succeeds');
    entry((x, y) => `<path class="bad" d="M${round(x + 3)} ${y - 6}l6 6m-6 0l6 -6"/>`, 'check fails');
    entry((x, y) => `<rect class="error" x="${round(x)}" y="${y - 7}" width="12" height="8" rx="2"/>`, 'requests fail');
    return { parts, endY: y };
  }

  private bar(className: string, fromMs: number, toMs: number, y: number, height: number, words: string): string {
    const x = this.x(fromMs);
    const width = Math.max(1, this.x(toMs) - x);
    const title =
      words === '' ? '' : `<title>${escapeXml(`${words}: ${seconds(fromMs)} to ${seconds(toMs)} s`)}</title>`;
    return `<rect class="${className}" x="${x}" y="${y}" width="${round(width)}" height="${round(height)}" rx="2">${title}</rect>`;
  }

  private x(ms: number): number {
    return round(LEFT + ((WIDTH - LEFT - RIGHT) * Math.min(ms, this.endMs)) / this.endMs);
  }
}

/** Labels at the same height: one that would be written over another is left out. */
class LabelLine {
  private readonly taken: { readonly from: number; readonly to: number }[] = [];

  at(x: number, y: number, words: string, className = '', anchor: Anchor = 'start'): string[] {
    const width = words.length * CHARACTER_WIDTH;
    const from = x - width * { start: 0, middle: 0.5, end: 1 }[anchor];
    const to = from + width + LABEL_GAP;
    if (this.taken.some((t) => from < t.to && t.from < to)) return [];
    this.taken.push({ from, to });
    return [text(x, y, words, className, anchor)];
  }
}

function text(x: number, y: number, words: string, className = '', anchor: Anchor = 'start'): string {
  const name = className === '' ? '' : ` class="${className}"`;
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${y}"${name}${where}>${escapeXml(words)}</text>`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}

function escapeXml(words: string): string {
  return words.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
}
