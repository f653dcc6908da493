import { type Columns, figure } from './report.ts';
import type { Goal, Row } from './row.ts';

const WIDTH = 900;
const LEFT = 24;
const NAMES = 96;
const BARS = 520;
const BAR = 14;
const GAP = 3;
const ROW_GAP = 24;
const FONT = 'font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';

/** Readable on white and on black: one colour for us, shades for others. */
const STYLE = `
text { ${FONT}; font-size: 12px; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.what { font-weight: 600 }
.dim { fill: #59636e }
.ours { fill: #0969da }
.other { fill: #afb8c1 }
.met { fill: #1a7f37 }
.missed { fill: #cf222e }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .dim { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .other { fill: #59636e }
  .met { fill: #3fb950 }
  .missed { fill: #f85149 }
  .page { fill: #0d1117 }
}`;

/**
 * The rows as groups of bars, an SVG: in each group the longest bar is whoever needs most. Rows that nobody but us has are lines of text.
 * @param machine what it was measured on
 * @param names in this order; the first is us
 */
export function picture(rows: readonly Row[], machine: string, { names }: Columns): string {
  const parts: string[] = [];
  let y = 40;
  const text = (x: number, at: number, what: string, kind = '', anchor = 'start'): void => {
    parts.push(`<text x="${x}" y="${at}" class="${kind}" text-anchor="${anchor}">${xmlText(what)}</text>`);
  };
  text(LEFT, y, 'kubelette, measured side by side', 'title');
  y += 20;
  text(LEFT, y, machine, 'dim');
  y += 16;
  text(LEFT, y, 'Shorter is better. Medians; in brackets, multiples of kubelette’s figure.', 'dim');
  y += 16;
  text(
    LEFT,
    y,
    'Goals: ✓ met, ✗ missed, – beyond reach: what nobody can be below, measured in the same run, is more than that.',
    'dim',
  );
  y += ROW_GAP;

  const compared = rows.filter((row) => barsOf(row, names).length > 1);
  for (const row of compared) {
    text(LEFT, y, row.what, 'what');
    verdict(row.goals, y);
    y += 8;
    const bars = barsOf(row, names);
    const longest = Math.max(...bars.map(([, value]) => value));
    for (const [name, value] of bars) {
      const width = Math.max(2, (BARS * value) / longest);
      const isOurs = name === names[0];
      const times = isOurs ? '' : `  (${figure(value / row.ours)} ×)`;
      text(LEFT + NAMES - 8, y + BAR - 3, name, isOurs ? '' : 'dim', 'end');
      parts.push(
        `<rect x="${LEFT + NAMES}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" class="${isOurs ? 'ours' : 'other'}"/>`,
      );
      text(LEFT + NAMES + width + 8, y + BAR - 3, `${figure(value)} ${row.unit}${times}`, isOurs ? '' : 'dim');
      y += BAR + GAP;
    }
    y += ROW_GAP;
  }

  y += 10;
  text(LEFT, y, 'kubelette alone', 'title');
  y += ROW_GAP;
  for (const row of rows.filter((r) => !compared.includes(r))) {
    text(LEFT, y, row.what);
    text(LEFT + 470, y, `${figure(row.ours)} ${row.unit}`, 'what', 'end');
    verdict(row.goals, y);
    y += 20;
  }
  const height = y + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Benchmark of kubelette">
<style>${STYLE}</style>
<rect width="${WIDTH}" height="${height}" class="page"/>
${parts.join('\n')}
</svg>
`;

  /** Goals that were judged, at the right end of a line. */
  function verdict(goals: readonly Goal[], at: number): void {
    const judged = goals.filter(({ isMet }) => isMet !== undefined);
    if (judged.length === 0) return;
    const spans = judged.map(({ text: goal, isMet, beyond }, i) => {
      const [kind, mark] = isMet ? ['met', '✓'] : beyond === undefined ? ['missed', '✗'] : ['dim', '–'];
      return `<tspan class="dim"${i > 0 ? ' dx="10"' : ''}>${xmlText(goal.replace('<=', '≤').replace(' x ', ' × '))} </tspan><tspan class="${kind}">${mark}</tspan>`;
    });
    parts.push(`<text x="${WIDTH - LEFT}" y="${at}" text-anchor="end">${spans.join('')}</text>`);
  }
}

function barsOf(row: Row, names: readonly string[]): [string, number][] {
  return names.flatMap((name) => {
    const value = row.median(name);
    return value === undefined ? [] : [[name, value]];
  });
}

function xmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
