/**
 * The format of the logs that a CRI runtime writes: a line is `TIMESTAMP stdout|stderr F|P CONTENT`. `P` is a part of a line that goes
 * on in the next line of the same stream (kubernetes: pkg/kubelet/kuberuntime/logs).
 */
import type { FileHandle } from 'node:fs/promises';
import type { LogOptions } from './log-options.ts';

const NEWLINE = 0x0a;
const SPACE = 0x20;
const BLOCK_BYTES = 64 * 1024;

interface LogLine {
  readonly timestamp: string;
  readonly stderr: boolean;
  readonly partial: boolean;
  readonly content: Buffer;
}

/** Undefined for a line that is not in the format. @param line without its newline */
function parseLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  if (first < 1 || second < 0) return undefined;
  // An empty line may lack the space before its missing content.
  const third = line.indexOf(SPACE, second + 1);
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = line.toString('latin1', second + 1, third < 0 ? line.length : third);
  return {
    timestamp: line.toString('latin1', 0, first),
    stderr: stream === 'stderr',
    partial: tags.split(':')[0] === 'P',
    content: third < 0 ? line.subarray(0, 0) : line.subarray(third + 1),
  };
}

function wanted(line: LogLine, stream: LogOptions['stream']): boolean {
  return stream === 'All' || line.stderr === (stream === 'Stderr');
}

/** Turns the bytes of a log file, as they come, into what the reader of the log sees. */
export class LogFormatter {
  private readonly options: LogOptions;
  private rest: Buffer = Buffer.alloc(0);
  private bytesLeft: number;
  /** Per stream, whether the line before was only a part: what follows gets no timestamp of its own. */
  private readonly midLine = { stdout: false, stderr: false };

  constructor(options: LogOptions) {
    this.options = options;
    this.bytesLeft = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** limitBytes is used up: there will be no more output. */
  get done(): boolean {
    return this.bytesLeft <= 0;
  }

  push(chunk: Buffer): Buffer {
    const data = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    const out: Buffer[] = [];
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0 && !this.done; end = data.indexOf(NEWLINE, start)) {
      this.format(data.subarray(start, end), out);
      start = end + 1;
    }
    // A copy: the reader fills its buffer anew.
    this.rest = Buffer.from(data.subarray(start));
    return Buffer.concat(out);
  }

  private format(raw: Buffer, out: Buffer[]): void {
    const line = parseLine(raw);
    if (!line || !wanted(line, this.options.stream)) return;
    const { since, timestamps } = this.options;
    if (since !== undefined && Date.parse(line.timestamp) < since) return;
    const stream = line.stderr ? 'stderr' : 'stdout';
    if (timestamps && !this.midLine[stream]) this.emit(Buffer.from(`${fixedNanos(line.timestamp)} `), out);
    this.emit(line.content, out);
    if (!line.partial) this.emit(Buffer.from('\n'), out);
    this.midLine[stream] = line.partial;
  }

  private emit(bytes: Buffer, out: Buffer[]): void {
    const part = bytes.length > this.bytesLeft ? bytes.subarray(0, this.bytesLeft) : bytes;
    this.bytesLeft -= part.length;
    if (part.length > 0) out.push(part);
  }
}

/** Runtimes cut trailing zeros off the fraction; Kubernetes shows nine digits always. */
function fixedNanos(timestamp: string): string {
  const [, seconds, fraction, zone] = /^([^.Z+]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? [];
  return seconds === undefined ? timestamp : `${seconds}.${(fraction ?? '').padEnd(9, '0')}${zone}`;
}

/**
 * Where the last `lines` lines of a log begin, found from its end without reading the rest. Parts of one line count as one.
 * @param size where the log ends for this reader, in bytes
 */
export async function tailStart(
  file: FileHandle,
  size: number,
  lines: number,
  stream: LogOptions['stream'],
): Promise<number> {
  if (lines === 0) return size;
  /** What was read of the line that begins before `from`. */
  let pending: Buffer = Buffer.alloc(0);
  let found = 0;
  let atEnd = true;
  for (let from = size; from > 0; ) {
    const length = Math.min(BLOCK_BYTES, from);
    from -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, from);
    const data = Buffer.concat([block, pending]);
    // A line that is still being written is not counted.
    let end: number = atEnd ? data.lastIndexOf(NEWLINE) + 1 : data.length;
    atEnd &&= end === 0;
    while (end > 0) {
      const start = lineStart(data, end);
      if (start === 0 && from > 0) break;
      const line = parseLine(data.subarray(start, end - 1));
      // Where the full line before the ones wanted ends is where those begin, parts included.
      if (line && !line.partial && wanted(line, stream) && ++found > lines) return from + end;
      end = start;
    }
    pending = data.subarray(0, end);
  }
  return 0;
}

/** Index at which the line that ends before `end` (with a newline at `end - 1`) starts; 0 when that is not in `data`. */
function lineStart(data: Buffer, end: number): number {
  return end < 2 ? 0 : data.lastIndexOf(NEWLINE, end - 2) + 1;
}
