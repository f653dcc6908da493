import type { Output } from '../context.ts';

const ESC = '\u001b[';

/**
 * Keeps a block of lines at the bottom of a terminal and repaints it in place. Lines printed with `print` stand above it and stay.
 * The caller shortens lines to the width; what is higher than the terminal is cut, since a line that scrolled away cannot be
 * repainted.
 */
export class Painter {
  private readonly out: Output;
  private painted: readonly string[] = [];
  private hidden = false;

  constructor(out: Output) {
    this.out = out;
  }

  paint(lines: readonly string[]): void {
    const rows = Math.max(1, (this.out.rows ?? 24) - 1);
    const shown = lines.length <= rows ? lines : [...lines.slice(0, rows - 1), '…'];
    if (this.hidden && shown.length === this.painted.length && shown.every((l, i) => l === this.painted[i])) return;
    this.write(`${this.hidden ? '' : `${ESC}?25l`}${this.home()}${shown.map((l) => `${ESC}2K${l}\n`).join('')}${ESC}J`);
    this.hidden = true;
    this.painted = shown;
  }

  /** Prints lines that stay, above the block. */
  print(lines: readonly string[]): void {
    const block = this.painted;
    this.write(`${this.home()}${ESC}J${lines.map((l) => `${l}\n`).join('')}${block.map((l) => `${l}\n`).join('')}`);
  }

  /** Leaves the block as it stands and gives the cursor back. */
  done(): void {
    if (this.hidden) this.write(`${ESC}?25h`);
    this.hidden = false;
    this.painted = [];
  }

  /** To the block's first line. */
  private home(): string {
    return this.painted.length === 0 ? '' : `${ESC}${this.painted.length}F`;
  }

  private write(text: string): void {
    // Synchronized output: terminals that know it show the whole repaint at once; others ignore it.
    this.out.write(`${ESC}?2026h${text}${ESC}?2026l`);
  }
}
