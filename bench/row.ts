import { type Summary, summarize } from './measure.ts';

/** What one contender needed, or why there is no figure. */
export type Cell = Summary | string;

export interface Goal {
  readonly text: string;
  /** Undefined where it cannot be judged. */
  readonly isMet: boolean | undefined;
  /** Where it is missed: why nobody could meet it, as measured in the same run. */
  readonly beyond?: string;
}

/** What nobody can be below, in the unit of the row. */
export interface Floor {
  readonly what: string;
  readonly value: number;
}

const OURS = 'kubelette';

/** One thing that was measured, of everybody who does it, and what it should be. The medians are judged. */
export class Row {
  readonly what: string;
  readonly unit: string;
  readonly cells: ReadonlyMap<string, Cell>;
  readonly goals: Goal[] = [];

  constructor(what: string, unit: string, cells: ReadonlyMap<string, Cell>) {
    this.what = what;
    this.unit = unit;
    this.cells = cells;
  }

  /** Of what only we do. */
  static ofOurs(what: string, unit: string, ...samples: number[]): Row {
    return new Row(what, unit, new Map([[OURS, summarize(samples)]]));
  }

  /** The median, or undefined where there is no figure. */
  median(name: string): number | undefined {
    const cell = this.cells.get(name);
    return cell === undefined || typeof cell === 'string' ? undefined : cell.median;
  }

  get ours(): number {
    return this.median(OURS)!;
  }

  /** Goal: at most `factor` times what `name` needs. Beyond reach where the floor is above that. */
  atMostTimes(factor: number, name: string, floor?: Floor): this {
    const text = `<= ${factor} x ${name}`;
    const other = this.median(name);
    if (other === undefined) return this.goal(text, undefined);
    const limit = factor * other;
    const isMet = this.ours <= limit;
    const beyond = !isMet && floor && floor.value > limit && `${floor.what}: ${(floor.value / other).toFixed(2)} x`;
    return this.goal(text, isMet, beyond || undefined);
  }

  /** Goal: at most so much more than `name` needs. */
  atMostAbove(more: number, name: string): this {
    const other = this.median(name);
    return this.goal(`<= ${name} + ${more} ${this.unit}`, other === undefined ? undefined : this.ours <= other + more);
  }

  atMost(limit: number): this {
    return this.goal(`<= ${limit} ${this.unit}`, this.ours <= limit);
  }

  goal(text: string, isMet: boolean | undefined, beyond?: string): this {
    this.goals.push({ text, isMet, ...(beyond !== undefined && { beyond }) });
    return this;
  }
}
