import { humanDuration } from '../../api/human-duration.ts';
import type { KubeObject } from '../../api/resources.ts';
import { parseTime } from '../../api/time.ts';

/** A column of a server-side table (meta.k8s.io/v1 TableColumnDefinition, without its prose). */
export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer';
  readonly format: 'name' | '';
  /** 0 shows always, 1 with `-o wide`. */
  readonly priority: 0 | 1;
}

export interface TableDefinition<T extends KubeObject = KubeObject> {
  readonly columns: readonly TableColumn[];
  /** One cell per column. @param now wall time, ms since the epoch */
  cells(object: T, now: number): (string | number)[];
  /** Conditions of the row; kubectl hides completed rows by them on request. */
  conditions?(object: T): readonly object[] | undefined;
}

/** `Name`, `!Node` (wide only), in order; the first `Name` column has the format that clients look for. */
export function columns(...names: string[]): TableColumn[] {
  return names.map((written) => {
    const wide = written.startsWith('!');
    const name = wide ? written.slice(1) : written;
    return { name, type: 'string', format: name === 'Name' ? 'name' : '', priority: wide ? 1 : 0 };
  });
}

/** How long ago a Time or MicroTime was: `5m3s`; `<unknown>` when there is none. */
export function since(time: string | null | undefined, now: number): string {
  const at = parseTime(time ?? undefined);
  return at === undefined ? '<unknown>' : humanDuration(now - at);
}

/** The AGE column. */
export function age(object: KubeObject, now: number): string {
  return since(object.metadata.creationTimestamp, now);
}
