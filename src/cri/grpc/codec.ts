import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** What ts-proto generates for a message. */
export interface Codec<T> {
  encode(message: T, writer: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): T;
}

/** One RPC: its full name, `/package.Service/Method`, and its two messages. */
export interface Rpc<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

/** gRPC's prefix of a message: one byte for compression (never used here), four for the length. */
const PREFIX_BYTES = 5;
const EMPTY_PREFIX = new Uint8Array(PREFIX_BYTES);

/** A message as gRPC puts it into an HTTP/2 stream. */
export function encodeFrame<T>(codec: Codec<T>, message: T): Buffer {
  // The prefix is the writer's first chunk, so that the message is copied only once.
  const bytes = codec.encode(message, new BinaryWriter().raw(EMPTY_PREFIX)).finish();
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  frame.writeUInt32BE(frame.length - PREFIX_BYTES, 1);
  return frame;
}

/** Cuts a byte stream into gRPC messages. */
export class FrameReader {
  private chunks: Buffer[] = [];
  private length = 0;

  /** Takes the next bytes; returns the messages that are now complete. Throws when a message is compressed. */
  push(chunk: Buffer): Buffer[] {
    this.chunks.push(chunk);
    this.length += chunk.length;
    const messages: Buffer[] = [];
    while (this.length >= PREFIX_BYTES) {
      const head = this.peek(PREFIX_BYTES);
      if (head[0] !== 0) throw new Error('the message is compressed, which was not agreed upon');
      const size = PREFIX_BYTES + head.readUInt32BE(1);
      if (this.length < size) break;
      const all = this.peek(size);
      messages.push(all.subarray(PREFIX_BYTES, size));
      this.chunks = all.length > size ? [all.subarray(size)] : [];
      this.length -= size;
    }
    return messages;
  }

  /** The first chunk, joined with others until it holds `bytes`. */
  private peek(bytes: number): Buffer {
    if (this.chunks[0]!.length < bytes) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0]!;
  }
}
