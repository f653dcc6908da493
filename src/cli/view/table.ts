import { displayWidth } from './style.ts';

/**
 * Lays out rows in columns as kubectl does: each column as wide as its widest cell (at least 6) and 3 spaces; the last one is not
 * padded. Remembers widths from call to call, so that rows that come later (`get -w`) stand under the header.
 */
export class TableLayout {
  private readonly widths: number[] = [];

  render(rows: readonly (readonly string[])[]): string[] {
    for (const row of rows) {
      row.forEach((cell, i) => {
        this.widths[i] = Math.max(this.widths[i] ?? 6, displayWidth(cell) + 3);
      });
    }
    return rows.map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(this.widths[i]! - displayWidth(cell))))
        .join('')
        .trimEnd(),
    );
  }
}
