import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { KubeObject } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf, UserError } from '../../lib/errors.ts';
import { type Change, type HistoryLimits, Mvcc, type Version } from './mvcc.ts';

/** Bounds the memory of the history; a watcher that was away for longer lists again. */
const HISTORY: HistoryLimits = { changes: 2000, characters: 4 << 20, ageMs: 5 * 60_000 };

const SCHEMA_VERSION = 1;

/** Told of every change, in order, right after it became durable. Must not throw, block, or write. */
export type ChangeListener = (change: Change) => void;

/**
 * The objects of the API server: in memory for reading, in one SQLite file for keeping. A write returns after its transaction is
 * committed to the write-ahead log, so that what was acknowledged survives the death of the process at any moment (synchronous =
 * NORMAL: a power cut may lose the newest writes, never consistency). History is kept in memory only: a restart compacts.
 */
export class ObjectStore {
  private readonly database: DatabaseSync;
  private readonly clock: Clock;
  private readonly mvcc: Mvcc;
  private readonly listeners = new Map<string, Set<ChangeListener>>();
  private readonly upsert: StatementSync;
  private readonly erase: StatementSync;
  private readonly setRevision: StatementSync;

  /**
   * Opens or creates the database.
   * @param path a file, or `:memory:`
   * @throws UserError when it is in use, damaged, or of a newer version
   */
  constructor(path: string, clock: Clock, limits: HistoryLimits = HISTORY) {
    this.clock = clock;
    this.database = open(path);
    const rows = this.database.prepare('SELECT collection, key, revision, value FROM objects').iterate();
    const versions: { collection: string; version: Version }[] = [];
    let revision = Number(this.database.prepare('SELECT revision FROM latest').get()?.revision ?? 0);
    for (const row of rows as Iterable<{ collection: string; key: string; revision: number; value: string }>) {
      const stored = JSON.parse(row.value) as KubeObject;
      versions.push({ collection: row.collection, version: makeVersion(row.key, row.revision, stored) });
      revision = Math.max(revision, row.revision);
    }
    this.mvcc = new Mvcc(limits, revision, versions);
    this.upsert = this.database.prepare(
      'INSERT INTO objects (collection, key, revision, value) VALUES (?, ?, ?, ?) ' +
        'ON CONFLICT (collection, key) DO UPDATE SET revision = excluded.revision, value = excluded.value',
    );
    this.erase = this.database.prepare('DELETE FROM objects WHERE collection = ? AND key = ?');
    this.setRevision = this.database.prepare('UPDATE latest SET revision = ?');
  }

  /** Of the newest change. */
  get revision(): number {
    return this.mvcc.revision;
  }

  /** Watches can start here or later. */
  get oldest(): number {
    return this.mvcc.oldest;
  }

  get(collection: string, key: string): Version | undefined {
    return this.mvcc.get(collection, key);
  }

  count(collection: string, prefix = ''): number {
    return this.mvcc.count(collection, prefix);
  }

  scan(collection: string, prefix = ''): Iterable<Version> {
    return this.mvcc.scan(collection, prefix);
  }

  /** @throws CompactedError */
  scanAt(collection: string, prefix: string, revision: number): Iterable<Version> {
    return this.mvcc.scanAt(collection, prefix, revision);
  }

  /** @throws CompactedError */
  changesSince(collection: string, revision: number): Change[] {
    return this.mvcc.changesSince(collection, revision);
  }

  /**
   * Creates or replaces. Takes over `object`, which must not change afterwards.
   * @throws ApiStatusError 500 when the disk is full; then nothing has changed
   */
  put(collection: string, key: string, object: KubeObject): Version {
    const before = this.mvcc.get(collection, key);
    const after = makeVersion(key, this.mvcc.revision + 1, object);
    const type = `{"kind":${JSON.stringify(object.kind)},"apiVersion":${JSON.stringify(object.apiVersion)}`;
    this.write(() => this.upsert.run(collection, key, after.revision, `${type},${after.text.slice(1)}`));
    this.apply({ revision: after.revision, collection, before, after, deleted: false });
    return after;
  }

  /**
   * Removes what is there. Returns its last state, which carries the revision of the removal.
   * @throws ApiStatusError 500 when the disk is full; then nothing has changed
   */
  delete(collection: string, key: string): Version | undefined {
    const before = this.mvcc.get(collection, key);
    if (!before) return undefined;
    const after = withRevision(before, this.mvcc.revision + 1);
    this.write(() => {
      this.database.exec('BEGIN IMMEDIATE');
      this.erase.run(collection, key);
      this.setRevision.run(after.revision);
      this.database.exec('COMMIT');
    });
    this.apply({ revision: after.revision, collection, before, after, deleted: true });
    return after;
  }

  /** Calls `listener` for every later change of the collection, until the returned function is called. */
  subscribe(collection: string, listener: ChangeListener): () => void {
    let set = this.listeners.get(collection);
    if (!set) {
      set = new Set();
      this.listeners.set(collection, set);
    }
    set.add(listener);
    return () => set.delete(listener);
  }

  close(): void {
    this.listeners.clear();
    this.database.close();
  }

  private write(statements: () => void): void {
    try {
      statements();
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      const message = `Internal error occurred: cannot write ${this.database.location() ?? 'the database'}: ${messageOf(error)}`;
      throw new ApiStatusError(
        500,
        'InternalError',
        message,
        { causes: [{ message: messageOf(error) }] },
        { cause: error },
      );
    }
  }

  private apply(change: Change): void {
    this.mvcc.apply(change, this.clock.monotonic());
    for (const listener of this.listeners.get(change.collection) ?? []) listener(change);
  }
}

/** The version with another revision in its object and text. */
export function withRevision(version: Version, revision: number): Version {
  return makeVersion(version.key, revision, version.object);
}

/** Stamps the revision into (a shallow copy of) the object. */
function makeVersion(key: string, revision: number, object: KubeObject): Version {
  const { kind, apiVersion, metadata, ...rest } = object;
  const body = { metadata: { ...metadata, resourceVersion: String(revision) }, ...rest };
  return { key, revision, object: { kind, apiVersion, ...body } as KubeObject, text: JSON.stringify(body) };
}

function open(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    // One process owns the file: no shared memory file, and a second agent is refused. The lock dies with the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (version > SCHEMA_VERSION) {
      throw new UserError(
        `${path} was written by a newer kubelette (format ${version}, this one reads ${SCHEMA_VERSION})`,
      );
    }
    database.exec(`
      BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS objects (
        collection TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (collection, key)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS latest (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT;
      INSERT OR IGNORE INTO latest VALUES (0, 0);
      PRAGMA user_version = ${SCHEMA_VERSION};
      COMMIT`);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof UserError) throw error;
    const locked = /locked|busy/.test(messageOf(error));
    throw new UserError(
      locked ? `${path} is in use by another process` : `cannot open the database ${path}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
