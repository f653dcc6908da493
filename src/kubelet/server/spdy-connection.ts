/**
 * The client half of SPDY/3.1, as little of it as a runtime's streaming server needs: open streams, send and receive data, half-close.
 * The servers in question (moby/spdystream) know no flow control but TCP's, and send no headers that a client has to read.
 */
import type { Duplex } from 'node:stream';

const VERSION = 0x8003;
const SYN_STREAM = 1;
const PING = 6;
const FLAG_FIN = 1;
const HEADER_BYTES = 8;
/** A frame's length has 24 bits; ours stay far below. */
const MAX_DATA_BYTES = 1 << 20;
/** Control frames carry headers, which are short here. */
const MAX_CONTROL_BYTES = 1 << 16;

export interface SpdyEvents {
  data(streamId: number, data: Buffer): void;
  /** The connection ended; no more events. */
  close(): void;
}

export class SpdyConnection {
  private readonly socket: Duplex;
  private readonly events: SpdyEvents;
  private nextStreamId = 1;
  private pending: Buffer = Buffer.alloc(0);
  /** What is still to come of a data frame, and of which stream. */
  private dataLeft = 0;
  private dataStream = 0;

  /** @param head bytes already received */
  constructor(socket: Duplex, head: Buffer, events: SpdyEvents) {
    this.socket = socket;
    this.events = events;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.once('end', () => socket.destroy());
    socket.once('close', () => events.close());
    if (head.length > 0) socket.unshift(head);
  }

  /** Opens a stream with these headers (names in lower case). @returns its id */
  open(headers: Readonly<Record<string, string>>): number {
    const id = this.nextStreamId;
    this.nextStreamId += 2;
    const block = Buffer.concat([...(id === 1 ? [ZLIB_HEADER] : []), deflateStored(encodeHeaders(headers))]);
    const frame = Buffer.alloc(HEADER_BYTES + 10);
    writeControlHeader(frame, SYN_STREAM, 10 + block.length);
    frame.writeUInt32BE(id, HEADER_BYTES);
    this.socket.write(Buffer.concat([frame, block]));
    return id;
  }

  /** @returns false when the peer is slower than we are: wait for the socket's `drain` before sending more */
  send(streamId: number, data: Buffer): boolean {
    let room = true;
    for (let at = 0; at < data.length; at += MAX_DATA_BYTES) {
      room = this.sendFrame(streamId, data.subarray(at, at + MAX_DATA_BYTES), 0);
    }
    return room;
  }

  /** No more data from our side on this stream. */
  end(streamId: number): void {
    this.sendFrame(streamId, Buffer.alloc(0), FLAG_FIN);
  }

  private sendFrame(streamId: number, data: Buffer, flags: number): boolean {
    if (this.socket.destroyed) return true;
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(streamId, 0);
    header.writeUInt32BE(flags * 0x1000000 + data.length, 4);
    this.socket.cork();
    this.socket.write(header);
    const room = data.length === 0 || this.socket.write(data);
    this.socket.uncork();
    return room;
  }

  private receive(chunk: Buffer): void {
    let data = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk;
    while (data.length > 0) {
      if (this.dataLeft > 0) {
        const part = data.subarray(0, this.dataLeft);
        this.dataLeft -= part.length;
        data = data.subarray(part.length);
        this.events.data(this.dataStream, part);
        continue;
      }
      if (data.length < HEADER_BYTES) break;
      const length = data.readUIntBE(5, 3);
      if (data[0]! < 0x80) {
        this.dataStream = data.readUInt32BE(0);
        this.dataLeft = length;
        data = data.subarray(HEADER_BYTES);
        continue;
      }
      if (length > MAX_CONTROL_BYTES) {
        this.socket.destroy();
        return;
      }
      if (data.length < HEADER_BYTES + length) break;
      // Of all control frames only a ping asks for something: streams are refused or reset just before the connection ends.
      if (data.readUInt16BE(2) === PING) this.socket.write(data.subarray(0, HEADER_BYTES + length));
      data = data.subarray(HEADER_BYTES + length);
    }
    this.pending = data;
  }
}

function writeControlHeader(frame: Buffer, type: number, length: number): void {
  frame.writeUInt16BE(VERSION, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUInt32BE(length, 4);
}

function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers);
  const uint32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const text = (value: string): Buffer[] => [uint32(Buffer.byteLength(value)), Buffer.from(value)];
  return Buffer.concat([
    uint32(entries.length),
    ...entries.flatMap(([name, value]) => [...text(name), ...text(value)]),
  ]);
}

/** Begins a zlib stream that uses no preset dictionary: the flag says so, and every reader takes it. */
const ZLIB_HEADER = Buffer.from([0x78, 0x01]);

/**
 * A part of a zlib stream that holds `data` uncompressed, then the empty block by which a reader knows that it has all of it (RFC 1951,
 * 3.2.4). Header blocks of a few dozen bytes need no compression, and this way no state.
 */
function deflateStored(data: Buffer): Buffer {
  const lengths = Buffer.from([0, 0, 0, 0, 0]);
  lengths.writeUInt16LE(data.length, 1);
  lengths.writeUInt16LE(~data.length & 0xffff, 3);
  return Buffer.concat([lengths, data, Buffer.from([0, 0, 0, 0xff, 0xff])]);
}
