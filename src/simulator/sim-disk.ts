import type { ObjectDisk, StoredRow } from '../apiserver/storage/object-disk.ts';

interface Write {
  readonly collection: string;
  readonly key: string;
  readonly revision: number;
  /** Undefined: erased. */
  readonly value: string | undefined;
}

/** How many writes a power cut can take back: what has not left the page cache yet. */
const UNSYNCED = 20;

/**
 * The disk that outlives our process, with SQLite's promises in WAL mode: a write that returned survives the process; a power cut
 * takes the newest writes from some point on, each wholly or not at all.
 */
export class SimDisk {
  private readonly synced = new Map<string, Write>();
  private readonly unsynced: Write[] = [];
  private readonly onRefusal: () => void;
  private isFull = false;
  private revision = 0;

  /** @param onRefusal told of each write that it has no room for */
  constructor(onRefusal: () => void = () => {}) {
    this.onRefusal = onRefusal;
  }

  /** Writes fail while it is full. */
  set full(full: boolean) {
    this.isFull = full;
  }

  /** Opens it for one life of the process. @param isAlive whether that process still lives: a dead one writes nothing */
  open(isAlive: () => boolean): ObjectDisk {
    const write = (entry: Write): void => {
      if (!isAlive()) throw new Error('the process is dead');
      if (this.isFull) {
        this.onRefusal();
        throw new Error('database or disk is full');
      }
      this.unsynced.push(entry);
      if (this.unsynced.length > UNSYNCED) this.sync(this.unsynced.shift()!);
    };
    return {
      location: '/sim/state.db',
      load: () => {
        for (const entry of this.unsynced.splice(0)) this.sync(entry);
        const rows = [...this.synced.values()].filter((w): w is StoredRow => w.value !== undefined);
        return { revision: this.revision, rows };
      },
      put: (row) => write(row),
      erase: (collection, key, revision) => write({ collection, key, revision, value: undefined }),
      close() {},
    };
  }

  /** The newest writes, at most `count`, are lost. @returns the revisions that are gone */
  cutPower(count: number): number[] {
    const kept = Math.max(0, this.unsynced.length - count);
    return this.unsynced.splice(kept).map((w) => w.revision);
  }

  private sync(entry: Write): void {
    const key = `${entry.collection} ${entry.key}`;
    this.revision = Math.max(this.revision, entry.revision);
    if (entry.value === undefined) this.synced.delete(key);
    else this.synced.set(key, entry);
  }
}
