/** A stretch of time: `fromMs` is in it, `toMs` is not. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Stretches that begin and end as they are told. */
export class OpenInterval {
  private readonly closed: Interval[] = [];
  private since: number | undefined;

  /** Does nothing when it is so already. */
  set(isOn: boolean, atMs: number): void {
    if (isOn) this.since ??= atMs;
    else if (this.since !== undefined) {
      if (atMs > this.since) this.closed.push({ fromMs: this.since, toMs: atMs });
      this.since = undefined;
    }
  }

  get isOn(): boolean {
    return this.since !== undefined;
  }

  /** All there were until `endMs`. */
  until(endMs: number): Interval[] {
    return this.since === undefined || this.since >= endMs
      ? [...this.closed]
      : [...this.closed, { fromMs: this.since, toMs: endMs }];
  }
}

/** Whether `atMs` is in one of them. */
export function covers(intervals: readonly Interval[], atMs: number): boolean {
  return intervals.some(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs);
}

/** The moments between `fromMs` and `toMs`, both included, at which anything in these lists begins or ends; in order, each once. */
export function boundaries(lists: readonly (readonly Interval[])[], fromMs: number, toMs: number): number[] {
  const all = new Set([fromMs, toMs]);
  for (const list of lists) {
    for (const interval of list) {
      for (const at of [interval.fromMs, interval.toMs]) if (at > fromMs && at < toMs) all.add(at);
    }
  }
  return [...all].sort((a, b) => a - b);
}

/** When both are so. */
export function intersection(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  return a.flatMap((x) =>
    b.flatMap((y) => {
      const [fromMs, toMs] = [Math.max(x.fromMs, y.fromMs), Math.min(x.toMs, y.toMs)];
      return fromMs < toMs ? [{ fromMs, toMs }] : [];
    }),
  );
}
