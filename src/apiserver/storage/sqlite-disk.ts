import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { messageOf, UserError } from '../../lib/errors.ts';
import type { ObjectDisk, StoredRow } from './object-disk.ts';

const SCHEMA_VERSION = 1;

/**
 * One SQLite file. A write returns after its transaction is committed to the write-ahead log, so that what was acknowledged survives
 * the death of the process at any moment (synchronous = NORMAL: a power cut may lose the newest writes, never consistency).
 */
export class SqliteDisk implements ObjectDisk {
  private readonly database: DatabaseSync;
  private readonly upsert: StatementSync;
  private readonly remove: StatementSync;
  private readonly setRevision: StatementSync;

  /**
   * Opens or creates the database.
   * @param path a file, or `:memory:`
   * @throws UserError when it is in use, damaged, or of a newer version
   */
  constructor(path: string) {
    this.database = open(path);
    this.upsert = this.database.prepare(
      'INSERT INTO objects (collection, key, revision, value) VALUES (?, ?, ?, ?) ' +
        'ON CONFLICT (collection, key) DO UPDATE SET revision = excluded.revision, value = excluded.value',
    );
    this.remove = this.database.prepare('DELETE FROM objects WHERE collection = ? AND key = ?');
    this.setRevision = this.database.prepare('UPDATE latest SET revision = ?');
  }

  get location(): string {
    return this.database.location() ?? 'the database';
  }

  load(): { revision: number; rows: Iterable<StoredRow> } {
    const rows = this.database.prepare('SELECT collection, key, revision, value FROM objects').iterate();
    return {
      revision: Number(this.database.prepare('SELECT revision FROM latest').get()?.revision ?? 0),
      rows: rows as Iterable<unknown> as Iterable<StoredRow>,
    };
  }

  put({ collection, key, revision, value }: StoredRow): void {
    this.write(() => this.upsert.run(collection, key, revision, value));
  }

  erase(collection: string, key: string, revision: number): void {
    this.write(() => {
      this.database.exec('BEGIN IMMEDIATE');
      this.remove.run(collection, key);
      this.setRevision.run(revision);
      this.database.exec('COMMIT');
    });
  }

  close(): void {
    this.database.close();
  }

  private write(statements: () => void): void {
    try {
      statements();
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }
}

function open(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    // One process owns the file: no shared memory file, and a second agent is refused. The lock dies with the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    // A checkpoint waits for the disk, and whoever writes then waits with it: seldom (32 MB of log), so that it stays out of the 99th
    // percentile of how long a change takes to reach the kernel.
    database.exec('PRAGMA wal_autocheckpoint = 8000');
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
