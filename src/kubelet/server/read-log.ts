import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { LogFormatter, tailStart } from './cri-log.ts';
import type { LogOptions } from './log-options.ts';

const CHUNK_BYTES = 64 * 1024;
/** How often a follower that has nothing to read asks whether the container has ended; the log itself is watched. */
const STATE_CHECK_MS = 250;

/**
 * The log of one container instance, formatted. Follows, when asked to, until the container has ended and its log is read to the end, or
 * the signal aborts; goes on in the new file when the log is rotated.
 * @param opened the log's file, which this closes
 * @param path where the file is, or the one that replaces it
 * @param ended whether the container has ended and nothing more will be written
 */
export async function* readLog(
  opened: FileHandle,
  path: string,
  options: LogOptions,
  ended: () => Promise<boolean>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const formatter = new LogFormatter(options);
  let file = opened;
  let changes: LogChanges | undefined;
  try {
    if (options.follow) changes = new LogChanges(path, clock, signal);
    let { size, ino } = await file.stat();
    let position = options.tailLines === undefined ? 0 : await tailStart(file, size, options.tailLines, options.stream);
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (let last = false; ; ) {
      while (!signal.aborted) {
        // Without follow, what is written from now on is not read: the tail would get longer than it was asked for.
        const length = options.follow ? CHUNK_BYTES : Math.min(CHUNK_BYTES, size - position);
        const { bytesRead } = length > 0 ? await file.read(buffer, 0, length, position) : { bytesRead: 0 };
        if (bytesRead === 0) break;
        position += bytesRead;
        const text = formatter.push(buffer.subarray(0, bytesRead));
        if (text.length > 0) yield text;
        if (formatter.done) return;
      }
      if (!changes || signal.aborted) return;
      const next: FileHandle | undefined = changes.replaced() ? await openIfOther(path, ino) : undefined;
      if (next) {
        yield* drain(file, position, formatter);
        await file.close();
        file = next;
        ({ size, ino } = await file.stat());
        position = 0;
      } else if (last) {
        return;
      } else {
        last = await ended();
        if (!last) await changes.wait();
      }
    }
  } finally {
    changes?.close();
    await file.close();
  }
}

/** What was still written to a file while it was being replaced. */
async function* drain(file: FileHandle, from: number, formatter: LogFormatter): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (let position = from; ; ) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield formatter.push(buffer.subarray(0, bytesRead));
  }
}

/** The file at `path` if it is there and is another than the one with inode `ino`. */
async function openIfOther(path: string, ino: number): Promise<FileHandle | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && found.ino !== ino ? await open(path).catch(() => undefined) : undefined;
}

/** Tells when a log file grows or is replaced, by inotify on its directory. */
class LogChanges {
  private readonly clock: Clock;
  private readonly signal: AbortSignal;
  private readonly watcher: FSWatcher;
  private changed = false;
  /** From the start: it may have been before we watched. */
  private renamed = true;
  private wake: () => void = () => {};
  private readonly onAbort = (): void => this.wake();

  constructor(path: string, clock: Clock, signal: AbortSignal) {
    this.clock = clock;
    this.signal = signal;
    const name = basename(path);
    this.watcher = watch(dirname(path), (type, file) => {
      if (file !== name) return;
      this.changed = true;
      this.renamed ||= type === 'rename';
      this.wake();
    });
    // The directory going away is seen as the end of the container.
    this.watcher.on('error', () => this.wake());
    signal.addEventListener('abort', this.onAbort);
  }

  /** Whether the file may have been replaced since this was last asked. */
  replaced(): boolean {
    const renamed = this.renamed;
    this.renamed = false;
    return renamed;
  }

  /** Until the file changed, or it is time to look at the container again. */
  async wait(): Promise<void> {
    if (!this.changed && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = this.clock.setTimer(STATE_CHECK_MS, resolve);
        this.wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.changed = false;
  }

  close(): void {
    this.watcher.close();
    this.signal.removeEventListener('abort', this.onAbort);
  }
}
