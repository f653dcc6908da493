import type { KubeObject } from '../../api/resources.ts';

/** One version of one object. Immutable and shared by every reader. */
export interface Version {
  /** `NAMESPACE/NAME`, or `NAME` for cluster-scoped objects. */
  readonly key: string;
  readonly revision: number;
  /** Complete, with kind, apiVersion and metadata.resourceVersion. Treat as frozen. */
  readonly object: KubeObject;
  /** The same as JSON, without kind and apiVersion (as list items are): made once, written to every list and watch. */
  readonly text: string;
}

/** What one revision did. */
export interface Change {
  readonly revision: number;
  /** The resource, such as `pods`. */
  readonly collection: string;
  readonly before: Version | undefined;
  /** For a deletion the last state, carrying the deletion's revision. */
  readonly after: Version;
  readonly deleted: boolean;
}

/** How much history is kept; whichever is reached first. */
export interface HistoryLimits {
  readonly changes: number;
  /** Length of the changes' texts together, in characters. */
  readonly characters: number;
  readonly ageMs: number;
}

/** A place in the history that is not known any more: the reader must list again. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  /** The oldest revision that can still be asked for. */
  readonly oldest: number;

  constructor(oldest: number) {
    super(`revisions before ${oldest} are compacted`);
    this.oldest = oldest;
  }
}

interface Collection {
  readonly versions: Map<string, Version>;
  /** Ordered as upstream's storage orders keys. */
  readonly keys: string[];
}

interface Logged {
  readonly change: Change;
  readonly at: number;
}

/**
 * All objects and a bounded history of their changes, in memory, under one revision that only grows. Pure: no I/O, no clock; the
 * caller makes the change durable and tells everyone. A read costs what it returns, a write what it changes.
 */
export class Mvcc {
  private readonly collections = new Map<string, Collection>();
  private readonly limits: HistoryLimits;
  private log: Logged[] = [];
  private logCharacters = 0;
  private current: number;
  private compacted: number;

  /** @param revision the last revision that was given out; history before it is unknown */
  constructor(limits: HistoryLimits, revision: number, versions: Iterable<{ collection: string; version: Version }>) {
    this.limits = limits;
    this.current = revision;
    this.compacted = revision;
    for (const { collection, version } of versions) this.put(collection, version);
  }

  /** The revision of the newest change. */
  get revision(): number {
    return this.current;
  }

  /** Changes after this revision are known. */
  get oldest(): number {
    return this.compacted;
  }

  get(collection: string, key: string): Version | undefined {
    return this.collections.get(collection)?.versions.get(key);
  }

  /** How many objects of a collection have a key that starts with `prefix`. */
  count(collection: string, prefix = ''): number {
    const found = this.collections.get(collection);
    if (!found) return 0;
    const [from, to] = range(found.keys, prefix);
    return to - from;
  }

  /** Every object whose key starts with `prefix`, in order of keys, lazily. */
  *scan(collection: string, prefix = ''): Generator<Version> {
    const found = this.collections.get(collection);
    if (!found) return;
    const [from, to] = range(found.keys, prefix);
    for (const key of found.keys.slice(from, to)) {
      const version = found.versions.get(key);
      if (version) yield version;
    }
  }

  /**
   * As `scan`, but as it was at an earlier revision: today's state with the later changes taken back.
   * @throws CompactedError when the history does not reach back that far
   */
  scanAt(collection: string, prefix: string, revision: number): Iterable<Version> {
    if (revision === this.current) return this.scan(collection, prefix);
    if (revision < this.compacted) throw new CompactedError(this.compacted);
    const state = new Map<string, Version>();
    for (const version of this.scan(collection, prefix)) state.set(version.key, version);
    for (let i = this.log.length - 1; i >= 0; i--) {
      const { change } = this.log[i]!;
      if (change.revision <= revision) break;
      if (change.collection !== collection || !change.after.key.startsWith(prefix)) continue;
      if (change.before) state.set(change.before.key, change.before);
      else state.delete(change.after.key);
    }
    return [...state.values()].sort((a, b) => compareKeys(a.key, b.key));
  }

  /**
   * The changes of a collection after `revision`, oldest first.
   * @throws CompactedError when some of them are forgotten
   */
  changesSince(collection: string, revision: number): Change[] {
    if (revision < this.compacted) throw new CompactedError(this.compacted);
    const changes: Change[] = [];
    for (let i = this.log.length - 1; i >= 0; i--) {
      const { change } = this.log[i]!;
      if (change.revision <= revision) break;
      if (change.collection === collection) changes.push(change);
    }
    return changes.reverse();
  }

  /** Takes a change in. Its revision must be the one after `revision`. @param at monotonic ms */
  apply(change: Change, at: number): void {
    this.current = change.revision;
    if (change.deleted) this.remove(change.collection, change.after.key);
    else this.put(change.collection, change.after);
    this.log.push({ change, at });
    this.logCharacters += change.after.text.length;
    this.compact(at);
  }

  /** Forgets what is beyond the limits; in batches, so that it costs little per write. */
  private compact(now: number): void {
    const { changes, characters, ageMs } = this.limits;
    const slack = 1.25;
    const tooOld = now - this.log[0]!.at > ageMs * slack;
    if (!tooOld && this.log.length <= changes * slack && this.logCharacters <= characters * slack) return;
    let drop = 0;
    let left = this.logCharacters;
    while (
      drop < this.log.length &&
      (this.log.length - drop > changes || left > characters || now - this.log[drop]!.at > ageMs)
    ) {
      left -= this.log[drop]!.change.after.text.length;
      drop++;
    }
    if (drop === 0) return;
    this.compacted = this.log[drop - 1]!.change.revision;
    this.log = this.log.slice(drop);
    this.logCharacters = left;
  }

  private put(name: string, version: Version): void {
    let collection = this.collections.get(name);
    if (!collection) {
      collection = { versions: new Map(), keys: [] };
      this.collections.set(name, collection);
    }
    if (!collection.versions.has(version.key)) {
      collection.keys.splice(lowerBound(collection.keys, version.key), 0, version.key);
    }
    collection.versions.set(version.key, version);
  }

  private remove(name: string, key: string): void {
    const collection = this.collections.get(name);
    if (!collection?.versions.delete(key)) return;
    collection.keys.splice(lowerBound(collection.keys, key), 1);
  }
}

/** Where `key` is or would be. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The half-open range of keys that start with `prefix`. */
function range(keys: readonly string[], prefix: string): [number, number] {
  if (prefix === '') return [0, keys.length];
  return [lowerBound(keys, prefix), lowerBound(keys, `${prefix}\uffff`)];
}

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
