/** Over TCP two bytes of length stand before each message (RFC 1035, section 4.2.2). */
export function tcpFrame(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + message.length);
  frame.writeUInt16BE(message.length);
  message.copy(frame, 2);
  return frame;
}

/** Finds the messages in what comes over a connection in pieces of any size. */
export class TcpFramer {
  private rest = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE()) {
      const end = 2 + bytes.readUInt16BE();
      messages.push(bytes.subarray(2, end));
      bytes = bytes.subarray(end);
    }
    this.rest = Buffer.from(bytes);
    return messages;
  }
}
