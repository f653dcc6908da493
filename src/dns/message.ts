/**
 * DNS messages (RFC 1035) with EDNS (RFC 6891), read and written. Our own since names must be compressed (a headless Service of
 * eight pods would not fit a datagram otherwise), bytes in labels kept as they are, and records of any type handed on.
 */

/** Record types that the code names; all others pass through by their number. */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;
export const CLASS_IN = 1;
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export interface Question {
  /**
   * Labels joined by dots, no dot at the end; '' is the root. One character is one byte; a dot or backslash inside a label has a
   * backslash before it.
   */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord extends Question {
  /** Seconds. */
  readonly ttl: number;
  /** In order: text is a domain name, everything else bytes. */
  readonly data: readonly (string | Buffer)[];
}

/** What the OPT record says. */
export interface Edns {
  /** The largest datagram that the sender takes, bytes. */
  readonly payloadSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface Message {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the upper bits from EDNS. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the OPT record: that is `edns`. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | undefined;
}

/** The largest message there can be: TCP's. */
export const MAX_MESSAGE_BYTES = 65_535;

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const MAX_POINTER = 0x3fff;
/** In one name: no name has more labels. */
const MAX_POINTERS = 127;

/** Types whose data holds domain names: how many bytes come before them, and how many names there are. */
const NAMES_IN_DATA: Readonly<Record<number, readonly [before: number, names: number]>> = {
  [TYPE.NS]: [0, 1],
  [TYPE.CNAME]: [0, 1],
  [TYPE.SOA]: [0, 2],
  [TYPE.PTR]: [0, 1],
  [TYPE.MX]: [2, 1],
  [TYPE.SRV]: [6, 1],
};
/** Those of them in which names may be written compressed (RFC 3597, section 4). */
const MAY_COMPRESS: readonly number[] = [TYPE.NS, TYPE.CNAME, TYPE.SOA, TYPE.PTR, TYPE.MX];

/** Whether this is a query that deserves an answer, even if only FORMERR. */
export function looksLikeQuery(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && (bytes[2]! & 0x80) === 0;
}

/** @throws Error when it is malformed */
export function decodeMessage(bytes: Buffer): Message {
  if (bytes.length < HEADER_BYTES) throw new Error('a DNS message without a whole header');
  const flags = bytes.readUInt16BE(2);
  let at = HEADER_BYTES;
  const questions: Question[] = [];
  // More than one means nothing to anybody (RFC 9619).
  if (bytes.readUInt16BE(4) > 1) throw new Error('a DNS message with more than one question');
  if (bytes.readUInt16BE(4) === 1) {
    const name = readName(bytes, at);
    questions.push({ name: name.text, type: bytes.readUInt16BE(name.end), class: bytes.readUInt16BE(name.end + 2) });
    at = name.end + 4;
  }
  let opt: ResourceRecord | undefined;
  const section = (count: number): ResourceRecord[] => {
    const records: ResourceRecord[] = [];
    for (let i = count; i > 0; i--) {
      const { record, end } = readRecord(bytes, at);
      at = end;
      if (record.type === TYPE.OPT) opt = record;
      else records.push(record);
    }
    return records;
  };
  const answers = section(bytes.readUInt16BE(6));
  const authorities = section(bytes.readUInt16BE(8));
  const additionals = section(bytes.readUInt16BE(10));
  const bit = (mask: number): boolean => (flags & mask) !== 0;
  return {
    id: bytes.readUInt16BE(0),
    isResponse: bit(0x8000),
    opcode: (flags >> 11) & 0xf,
    authoritative: bit(0x400),
    truncated: bit(0x200),
    recursionDesired: bit(0x100),
    recursionAvailable: bit(0x80),
    authenticData: bit(0x20),
    checkingDisabled: bit(0x10),
    rcode: (flags & 0xf) | (opt ? (opt.ttl >>> 24) << 4 : 0),
    questions,
    answers,
    authorities,
    additionals,
    edns: opt && {
      payloadSize: opt.class,
      version: (opt.ttl >>> 16) & 0xff,
      dnssecOk: (opt.ttl & 0x8000) !== 0,
    },
  };
}

/**
 * At most `limit` bytes: additional records that do not fit are left out; so are answers, and then the message is marked truncated.
 * @throws Error when a name is none
 */
export function encodeMessage(message: Message, limit = MAX_MESSAGE_BYTES): Buffer {
  const { edns } = message;
  const writer = new Writer(limit - (edns ? OPT_BYTES : 0));
  for (const question of message.questions) writer.question(question);
  const counts = { answers: 0, authorities: 0, additionals: 0 };
  let { truncated } = message;
  for (const section of ['answers', 'authorities', 'additionals'] as const) {
    for (const record of message[section]) {
      if (!writer.record(record)) break;
      counts[section]++;
    }
    if (counts[section] === message[section].length) continue;
    truncated ||= section !== 'additionals';
    break;
  }
  return writer.finish(message, truncated, [
    message.questions.length,
    counts.answers,
    counts.authorities,
    counts.additionals,
  ]);
}

/** Into one buffer for all messages, since each is written in one go. */
const scratch = Buffer.alloc(MAX_MESSAGE_BYTES + OPT_BYTES);

class Writer {
  private at = HEADER_BYTES;
  private readonly limit: number;
  /** Where each name, and each name's end, stands already. */
  private readonly offsets = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  question({ name, type, class: questionClass }: Question): void {
    this.name(name, true);
    this.uint16(type);
    this.uint16(questionClass);
  }

  /** @returns false when it does not fit; nothing may be written after that */
  record(record: ResourceRecord): boolean {
    const start = this.at;
    if (start + recordBound(record) > scratch.length) return false;
    this.name(record.name, true);
    this.uint16(record.type);
    this.uint16(record.class);
    this.uint32(record.ttl);
    const lengthAt = this.at;
    this.at += 2;
    for (const part of record.data) {
      if (typeof part === 'string') this.name(part, MAY_COMPRESS.includes(record.type));
      else this.at += part.copy(scratch, this.at);
    }
    scratch.writeUInt16BE(this.at - lengthAt - 2, lengthAt);
    if (this.at <= this.limit) return true;
    this.at = start;
    return false;
  }

  finish(message: Message, truncated: boolean, counts: readonly number[]): Buffer {
    const { edns, rcode } = message;
    if (edns) {
      scratch[this.at++] = 0;
      this.uint16(TYPE.OPT);
      this.uint16(edns.payloadSize);
      this.uint32(((rcode >> 4) << 24) | (edns.version << 16) | (edns.dnssecOk ? 0x8000 : 0));
      this.uint16(0);
    }
    const end = this.at;
    this.at = 0;
    this.uint16(message.id);
    this.uint16(
      (message.isResponse ? 0x8000 : 0) |
        (message.opcode << 11) |
        (message.authoritative ? 0x400 : 0) |
        (truncated ? 0x200 : 0) |
        (message.recursionDesired ? 0x100 : 0) |
        (message.recursionAvailable ? 0x80 : 0) |
        (message.authenticData ? 0x20 : 0) |
        (message.checkingDisabled ? 0x10 : 0) |
        (rcode & 0xf),
    );
    const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
    for (const count of [questions, answers, authorities, additionals + (edns ? 1 : 0)]) this.uint16(count);
    return Buffer.from(scratch.subarray(0, end));
  }

  private name(name: string, compress: boolean): void {
    const labels = labelsOf(name);
    for (let i = 0; i < labels.length; i++) {
      const rest = labels.slice(i).join('.');
      const known = compress ? this.offsets.get(rest) : undefined;
      if (known !== undefined) {
        this.uint16(0xc000 | known);
        return;
      }
      if (this.at <= MAX_POINTER && !this.offsets.has(rest)) this.offsets.set(rest, this.at);
      const bytes = Buffer.from(unescapeLabel(labels[i]!), 'latin1');
      if (bytes.length > MAX_LABEL_BYTES) throw new Error(`not a domain name: ${JSON.stringify(name)}`);
      scratch[this.at++] = bytes.length;
      this.at += bytes.copy(scratch, this.at);
    }
    scratch[this.at++] = 0;
  }

  private uint16(value: number): void {
    this.at = scratch.writeUInt16BE(value, this.at);
  }

  private uint32(value: number): void {
    this.at = scratch.writeUInt32BE(value >>> 0, this.at);
  }
}

/** No record is longer when written. */
function recordBound({ name, data }: ResourceRecord): number {
  return data.reduce((sum, part) => sum + part.length + 2, name.length + 2 + 10);
}

function readRecord(bytes: Buffer, start: number): { record: ResourceRecord; end: number } {
  const name = readName(bytes, start);
  const type = bytes.readUInt16BE(name.end);
  const dataStart = name.end + 10;
  const end = dataStart + bytes.readUInt16BE(name.end + 8);
  if (end > bytes.length) throw new Error('a DNS record that ends beyond its message');
  const data: (string | Buffer)[] = [];
  let at = dataStart;
  const names = end > dataStart ? NAMES_IN_DATA[type] : undefined;
  if (names) {
    at += names[0];
    data.push(Buffer.from(bytes.subarray(dataStart, at)));
    for (let i = 0; i < names[1]; i++) {
      const inner = readName(bytes, at);
      data.push(inner.text);
      at = inner.end;
    }
    if (at > end) throw new Error('a DNS record that is longer than it says');
  }
  data.push(Buffer.from(bytes.subarray(at, end)));
  const record = {
    name: name.text,
    type,
    class: bytes.readUInt16BE(name.end + 2),
    ttl: bytes.readUInt32BE(name.end + 4),
    data: data.filter((part) => part.length > 0 || typeof part === 'string'),
  };
  return { record, end };
}

function readName(bytes: Buffer, start: number): { text: string; end: number } {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  // A pointer leads to what stands before the part that it ends, so that following it ends as well (RFC 1035, section 4.1.4).
  let before = start;
  let pointers = 0;
  let length = 1;
  for (;;) {
    const first = bytes.readUInt8(at);
    if (first === 0) break;
    if (first >= 0xc0) {
      const target = bytes.readUInt16BE(at) & MAX_POINTER;
      end ??= at + 2;
      if (target >= before) throw new Error('a DNS name that points ahead');
      if (++pointers > MAX_POINTERS) throw new Error('a DNS name that points too often');
      at = target;
      before = target;
      continue;
    }
    length += first + 1;
    if (first > MAX_LABEL_BYTES || length > MAX_NAME_BYTES || at + 1 + first > bytes.length) {
      throw new Error('a DNS name that is too long');
    }
    labels.push(bytes.toString('latin1', at + 1, at + 1 + first).replace(/[.\\]/g, '\\$&'));
    at += 1 + first;
  }
  return { text: labels.join('.'), end: end ?? at + 1 };
}

/** The labels of a name, first one first, still escaped. */
export function labelsOf(name: string): string[] {
  return name.match(/(?:\\.|[^.\\])+/gs) ?? [];
}

function unescapeLabel(label: string): string {
  return label.replace(/\\(.)/gs, '$1');
}
