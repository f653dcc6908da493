import type { KubeObject } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { type Change, type HistoryLimits, Mvcc, type Version } from './mvcc.ts';
import type { ObjectDisk } from './object-disk.ts';
import { SqliteDisk } from './sqlite-disk.ts';

/** Bounds the memory of the history; a watcher that was away for longer lists again. */
const HISTORY: HistoryLimits = { changes: 2000, characters: 4 << 20, ageMs: 5 * 60_000 };

/** Told of every change, in order, right after it became durable. Must not throw, block, or write. */
export type ChangeListener = (change: Change) => void;

/**
 * The objects of the API server: in memory for reading, on one disk for keeping. A write returns after it is kept, so that what
 * was acknowledged survives the death of the process at any moment. History is in memory only: a restart compacts.
 */
export class ObjectStore {
  private readonly disk: ObjectDisk;
  private readonly clock: Clock;
  private readonly mvcc: Mvcc;
  private readonly listeners = new Map<string, Set<ChangeListener>>();

  /**
   * Reads all that there is.
   * @param disk where to keep the objects, or the path of a SQLite file (`:memory:` for none)
   * @throws UserError when the file is in use, damaged, or of a newer version
   */
  constructor(disk: ObjectDisk | string, clock: Clock, limits: HistoryLimits = HISTORY) {
    this.clock = clock;
    this.disk = typeof disk === 'string' ? new SqliteDisk(disk) : disk;
    const loaded = this.disk.load();
    const versions: { collection: string; version: Version }[] = [];
    let { revision } = loaded;
    for (const row of loaded.rows) {
      const stored = JSON.parse(row.value) as KubeObject;
      versions.push({ collection: row.collection, version: makeVersion(row.key, row.revision, stored) });
      revision = Math.max(revision, row.revision);
    }
    this.mvcc = new Mvcc(limits, revision, versions);
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
    const value = `${type},${after.text.slice(1)}`;
    this.write(() => this.disk.put({ collection, key, revision: after.revision, value }));
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
    this.write(() => this.disk.erase(collection, key, after.revision));
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
    this.disk.close();
  }

  private write(keep: () => void): void {
    try {
      keep();
    } catch (error) {
      const message = `Internal error occurred: cannot write ${this.disk.location}: ${messageOf(error)}`;
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
