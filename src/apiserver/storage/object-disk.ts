/** One object as it is kept. */
export interface StoredRow {
  readonly collection: string;
  readonly key: string;
  readonly revision: number;
  /** The object as JSON. */
  readonly value: string;
}

/**
 * Where the API server's objects are kept. A write is durable when it returns; one that throws has changed nothing, or, when the
 * machine dies with it, everything or nothing. Implementations: a SQLite file, the simulator's.
 */
export interface ObjectDisk {
  /** How errors name it. */
  readonly location: string;
  /** What is kept, and the last revision that was given out. */
  load(): { readonly revision: number; readonly rows: Iterable<StoredRow> };
  put(row: StoredRow): void;
  /** @param revision of the removal */
  erase(collection: string, key: string, revision: number): void;
  close(): void;
}
