import type { Cell, Goal, Row } from './row.ts';

const WHAT_WIDTH = 58;
const CELL_WIDTH = 20;

/** Everybody's column, in order, and why somebody is not measured. */
export interface Columns {
  readonly names: readonly string[];
  readonly absent: ReadonlyMap<string, string>;
}

export function header({ names }: Columns): string {
  return line('median (from - to)', names);
}

/** One row of the table, with our share of what others need, and, where it `isJudged`, its goals. */
export function tableRow(row: Row, { names }: Columns, isJudged: boolean): string {
  const lines = [
    line(
      `${row.what} [${row.unit}]`,
      names.map((name) => cellText(row.cells.get(name))),
    ),
  ];
  const ratios = names.map((name) => ratioText(row, row.median(name)));
  if (ratios.some(Boolean)) lines.push(line('    kubelette is', ratios));
  if (isJudged && row.goals.length > 0) lines.push(`    goal ${row.goals.map(goalText).join('; ')}`);
  return lines.join('\n');
}

/** Why figures are missing, and how many goals are met. */
export function footer(rows: readonly Row[], { absent }: Columns, isJudged: boolean): string {
  const lines = [...absent].map(([name, reason]) => `${name} is not measured: ${reason}`);
  const reasons = new Map<string, string[]>();
  for (const row of rows) {
    for (const [name, cell] of row.cells) {
      if (typeof cell !== 'string' || cell === absent.get(name)) continue;
      const key = `${name}: ${cell}`;
      reasons.set(key, [...(reasons.get(key) ?? []), row.what]);
    }
  }
  for (const [reason, whats] of reasons) lines.push(`- ${reason} (${whats.join('; ')})`);
  if (!isJudged) return lines.join('\n');
  const goals = rows.flatMap((row) => row.goals);
  const count = (is: (goal: Goal) => boolean): number => goals.filter(is).length;
  const beyond = count((goal) => goal.beyond !== undefined);
  lines.push(
    `goals: ${count(({ isMet }) => isMet === true)} met, ${count(({ isMet }) => isMet === false) - beyond} missed, ` +
      `${beyond} beyond what anybody could reach here, ${count(({ isMet }) => isMet === undefined)} not judged for want of a figure`,
  );
  return lines.join('\n');
}

/** A figure with three digits that count, and no more. */
export function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 ? 2 : 3);
}

function line(what: string, cells: readonly string[]): string {
  return [what.padEnd(WHAT_WIDTH), ...cells.map((cell) => cell.padStart(CELL_WIDTH))].join('').trimEnd();
}

function cellText(cell: Cell | undefined): string {
  if (!cell) return '';
  if (typeof cell === 'string') return 'not measured';
  const spread = cell.samples.length > 1 ? ` (${figure(cell.min)} - ${figure(cell.max)})` : '';
  return `${figure(cell.median)}${spread}`;
}

function ratioText(row: Row, other: number | undefined): string {
  return other === undefined || other === row.ours ? '' : `${(row.ours / other).toFixed(2)} x`;
}

function goalText({ text, isMet, beyond }: Goal): string {
  if (isMet === undefined) return `${text}: not judged`;
  if (beyond !== undefined) return `${text}: beyond reach (${beyond})`;
  return `${text}: ${isMet ? 'met' : 'MISSED'}`;
}
