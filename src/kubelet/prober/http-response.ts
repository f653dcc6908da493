import { MAX_OUTPUT_BYTES } from './attempt.ts';

/** As much of a response as probes and hooks look at. */
export interface HttpResponse {
  readonly status: number;
  /** The header Location. */
  readonly location: string | undefined;
  /** At most the first 10 KiB, as UTF-8. */
  readonly body: string;
}

/** Go allows ten times as much; nobody sends that to a probe for good reasons. */
const MAX_HEADER_BYTES = 1 << 20;
/** Go's limit (net/http/internal: maxLineLength). */
const MAX_SIZE_LINE_BYTES = 4096;
const NO_BODY = [204, 304];
/** As long as a chunk's size may be; in hexadecimal digits, as in Go. */
const MAX_SIZE_DIGITS = 16;

/** What is wrong with a response, in Go's words. */
export class MalformedResponse extends Error {}

/**
 * Reads one HTTP/1.x response to a GET that asked for the connection to be closed, as Go's net/http reads it and in its words. Node's
 * client reads them too, at twice the processor time: this is what an agent with many probes spends most on.
 */
export class HttpResponseReader {
  /** The status line and the headers are there. */
  hasHead = false;
  /** Not read yet. As everything here a character for a byte: cutting strings costs a third of what cutting buffers does. */
  private rest = '';
  private statusLine: StatusLine | undefined;
  /** The headers, while they come. */
  private readonly lines: string[] = [];
  private headerBytes = 0;
  private status = 0;
  private location: string | undefined;
  private body = '';
  /** Of the body, or of the chunk that is being read: bytes to come. */
  private left = Number.POSITIVE_INFINITY;
  private chunk: 'none' | 'size' | 'data' | 'end' = 'none';
  private isDone = false;

  /** Whether anything came at all. */
  get hasBegun(): boolean {
    return this.headerBytes > 0 || this.rest.length > 0;
  }

  /**
   * @param text what came next, a character for a byte
   * @returns the response, once as much of it is there as is looked at
   * @throws MalformedResponse
   */
  read(text: string): HttpResponse | undefined {
    const plain = this.hasBegun ? null : PLAIN_HEAD.exec(text);
    if (plain) this.takePlainHead(text, plain);
    else this.rest += text;
    while (!this.hasHead) {
      const line = this.line();
      if (line === undefined) return undefined;
      if (!this.statusLine) this.statusLine = readStatusLine(line);
      else if (line === '') this.readHead(this.statusLine);
      else this.lines.push(line);
    }
    if (this.chunk === 'none') this.take();
    else this.readChunks();
    return this.isDone || this.body.length >= MAX_OUTPUT_BYTES ? this.response() : undefined;
  }

  /**
   * The peer has closed the connection.
   * @throws MalformedResponse when the response is not whole
   */
  end(): HttpResponse {
    if (!this.hasBegun) throw new MalformedResponse('EOF');
    if (!this.hasHead || Number.isFinite(this.left) || this.chunk !== 'none') {
      throw new MalformedResponse('unexpected EOF');
    }
    return this.response();
  }

  private response(): HttpResponse {
    return { status: this.status, location: this.location, body: utf8(this.body.slice(0, MAX_OUTPUT_BYTES)) };
  }

  /** The next whole line, without its end. */
  private line(): string | undefined {
    const end = this.rest.indexOf('\n');
    const bytes = end < 0 ? this.rest.length : end + 1;
    if (!this.hasHead && this.headerBytes + bytes > MAX_HEADER_BYTES) {
      throw new MalformedResponse(`net/http: server response headers exceeded ${MAX_HEADER_BYTES} bytes; aborted`);
    }
    if (this.hasHead && bytes > MAX_SIZE_LINE_BYTES) throw new MalformedResponse('header line too long');
    if (end < 0) return undefined;
    if (!this.hasHead) this.headerBytes += bytes;
    const line = this.rest.slice(0, this.rest[end - 1] === '\r' ? end - 1 : end);
    this.rest = this.rest.slice(end + 1);
    return line;
  }

  // --- status line and headers

  private takePlainHead(text: string, [head, status, length]: RegExpExecArray): void {
    this.hasHead = true;
    this.headerBytes = head.length;
    this.status = Number(status);
    this.left = Number(length);
    this.rest = text.slice(head.length);
  }

  private readHead({ status, isOld }: StatusLine): void {
    const headers = readHeaders(this.lines.splice(0));
    // What a server says in between is not the answer; that it changes the protocol is.
    if (status >= 100 && status < 200 && status !== 101) {
      this.statusLine = undefined;
      return;
    }
    this.hasHead = true;
    this.status = status;
    const location = headers.get('location')?.[0];
    this.location = location && utf8(location);
    const codings = isOld ? [] : (headers.get('transfer-encoding') ?? []);
    if (codings.length > 1)
      throw new MalformedResponse(`too many transfer encodings: [${codings.map(quote).join(' ')}]`);
    if (codings.length === 1 && codings[0]!.toLowerCase() !== 'chunked') {
      throw new MalformedResponse(`unsupported transfer encoding: ${quote(codings[0]!)}`);
    }
    const length = codings.length === 0 ? contentLength(headers.get('content-length') ?? []) : undefined;
    if (NO_BODY.includes(status) || status === 101) this.left = 0;
    else if (codings.length > 0) this.chunk = 'size';
    else if (length !== undefined) this.left = length;
  }

  // --- the body

  /** As much of the body as is there. */
  private take(): void {
    const text = this.rest.slice(0, this.left);
    this.left -= text.length;
    this.body += text;
    this.rest = this.rest.slice(text.length);
    if (this.left === 0 && this.chunk === 'none') this.isDone = true;
  }

  private readChunks(): void {
    while (!this.isDone) {
      if (this.chunk === 'data') {
        this.take();
        if (this.left > 0) return;
        this.chunk = 'end';
      }
      const line = this.line();
      if (line === undefined) return;
      if (this.chunk === 'end') {
        if (line !== '') throw new MalformedResponse('malformed chunked encoding');
        this.chunk = 'size';
      } else {
        this.left = chunkSize(line);
        // Trailers are not looked at.
        if (this.left === 0) this.isDone = true;
        this.chunk = 'data';
      }
    }
  }
}

/**
 * A head as nearly all are, in one look: it says the body's length, once, and nothing of chunks or of another place. Its groups: the status,
 * the length.
 */
const PLAIN_HEAD = (() => {
  const other = "(?:(?!content-length|transfer-encoding|location)[!#$%&'*+\\-.^_`|~\\w]+:[^\\r\\n]*\\r\\n)*";
  const length = 'content-length:[ \\t]*(\\d{1,15})[ \\t]*\\r\\n';
  const status = 'HTTP/1\\.[01] (?!204|304)([2-5]\\d\\d)(?: [^\\r\\n]*)?\\r\\n';
  return new RegExp(`^${status}${other}${length}${other}\\r\\n`, 'i');
})();

/** What these bytes, a character for each, mean as UTF-8. */
function utf8(latin1: string): string {
  return /[\x80-\xff]/.test(latin1) ? Buffer.from(latin1, 'latin1').toString() : latin1;
}

interface StatusLine {
  readonly status: number;
  /** HTTP/1.0, which knows no chunks. */
  readonly isOld: boolean;
}

function readStatusLine(line: string): StatusLine {
  const space = line.indexOf(' ');
  if (space < 0) throw new MalformedResponse(`malformed HTTP response ${quote(line)}`);
  const code = line.slice(space).trimStart().split(' ', 1)[0]!;
  if (!/^\d{3}$/.test(code)) throw new MalformedResponse(`malformed HTTP status code ${quote(code)}`);
  const protocol = line.slice(0, space);
  const version = /^HTTP\/(\d)\.(\d)$/.exec(protocol);
  if (!version) throw new MalformedResponse(`malformed HTTP version ${quote(protocol)}`);
  return { status: Number(code), isOld: protocol < 'HTTP/1.1' };
}

/** By name in lower case. */
function readHeaders(lines: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  let last: string[] | undefined;
  for (const line of lines) {
    if (/^[ \t]/.test(line)) {
      if (!last) throw new MalformedResponse(`malformed MIME header initial line: ${line}`);
      last.push(`${last.pop()} ${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 0 || !/^[!#$%&'*+\-.^_`|~\w]*$/.test(line.slice(0, colon))) {
      throw new MalformedResponse(`malformed MIME header line: ${line}`);
    }
    const name = line.slice(0, colon).toLowerCase();
    last = headers.get(name) ?? [];
    last.push(line.slice(colon + 1).trim());
    headers.set(name, last);
  }
  return headers;
}

/** @returns undefined when the end of the connection ends the body */
function contentLength(values: readonly string[]): number | undefined {
  const [first] = values;
  if (first === undefined) return undefined;
  if (values.some((value) => value !== first)) {
    const all = values.map(quote).join(' ');
    throw new MalformedResponse(`http: message cannot contain multiple Content-Length headers; got [${all}]`);
  }
  if (!/^\d{1,15}$/.test(first)) throw new MalformedResponse(`bad Content-Length ${quote(first)}`);
  return Number(first);
}

function chunkSize(line: string): number {
  const digits = line.split(';', 1)[0]!.trimEnd();
  if (digits === '') throw new MalformedResponse('empty hex number for chunk length');
  if (!/^[0-9a-f]+$/i.test(digits)) throw new MalformedResponse('invalid byte in chunk length');
  if (digits.length > MAX_SIZE_DIGITS) throw new MalformedResponse('http chunk length too large');
  return Number.parseInt(digits, 16);
}

const ESCAPES: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\t': '\\t', '\r': '\\r', '\n': '\\n' };

/** Bytes as Go's %q shows them; those beyond ASCII, of which it shows UTF-8 as it is, in hexadecimal. */
function quote(latin1: string): string {
  const shown = latin1.replace(
    /[^\x20-\x7e]|["\\]/g,
    (c) => ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${shown}"`;
}
