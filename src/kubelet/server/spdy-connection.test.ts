import { type Duplex, duplexPair } from 'node:stream';
import { constants, createInflate } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { SpdyConnection } from './spdy-connection.ts';

let far: Duplex;
let spdy: SpdyConnection;
let sent: Buffer;
let events: [number, string][];
let closed: boolean;

beforeEach(() => {
  const [near, other] = duplexPair();
  far = other;
  sent = Buffer.alloc(0);
  events = [];
  closed = false;
  far.on('data', (chunk: Buffer) => (sent = Buffer.concat([sent, chunk])));
  spdy = new SpdyConnection(near, Buffer.alloc(0), {
    data: (stream, data) => events.push([stream, data.toString()]),
    close: () => (closed = true),
  });
});

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('the SPDY client', () => {
  it('opens streams whose headers a zlib reader understands, one stream of it for all frames', async () => {
    expect(spdy.open({ streamtype: 'error' })).toBe(1);
    expect(spdy.open({ streamtype: 'stdin', port: '80' })).toBe(3);
    await settle();
    const inflate = createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
    const plain: Buffer[] = [];
    inflate.on('data', (chunk: Buffer) => plain.push(chunk));
    const ids: number[] = [];
    for (let at = 0; at < sent.length; ) {
      expect(sent.subarray(at, at + 4)).toEqual(Buffer.from([0x80, 3, 0, 1]));
      const length = sent.readUIntBE(at + 5, 3);
      ids.push(sent.readUInt32BE(at + 8));
      inflate.write(sent.subarray(at + 18, at + 8 + length));
      at += 8 + length;
    }
    expect(ids).toEqual([1, 3]);
    await new Promise<void>((resolve) => inflate.flush(() => resolve()));
    const text = (value: string): string => `\0\0\0${String.fromCharCode(value.length)}${value}`;
    const first = `\0\0\0\x01${text('streamtype')}${text('error')}`;
    const second = `\0\0\0\x02${text('streamtype')}${text('stdin')}${text('port')}${text('80')}`;
    expect(Buffer.concat(plain).toString('latin1')).toBe(first + second);
  });

  it('sends data in frames that are not too long, and a FIN', async () => {
    spdy.send(5, Buffer.alloc((1 << 20) + 3, 'x'));
    spdy.end(5);
    await settle();
    expect(sent.subarray(0, 8)).toEqual(Buffer.from([0, 0, 0, 5, 0, 0x10, 0, 0]));
    const second = 8 + (1 << 20);
    expect(sent.subarray(second, second + 11)).toEqual(Buffer.from([0, 0, 0, 5, 0, 0, 0, 3, 120, 120, 120]));
    expect(sent.subarray(second + 11)).toEqual(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0]));
  });

  it('reads frames however they are cut, and skips control frames that do not concern it', async () => {
    const reply = [0x80, 3, 0, 2, 0, 0, 0, 6, 0, 0, 0, 1, 9, 9, 0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 5];
    const stream = Buffer.from([...reply, 0, 0, 0, 1, 0, 0, 0, 2, 104, 105, 0, 0, 0, 3, 1, 0, 0, 1, 33]);
    for (const byte of stream) far.write(Buffer.of(byte));
    await settle();
    expect(events.map(([id]) => id)).toEqual([1, 1, 3]);
    expect(events.map(([, text]) => text).join('')).toBe('hi!');
  });

  it('answers a ping with the same', async () => {
    const ping = Buffer.from([0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2]);
    far.write(ping);
    await settle();
    expect(sent).toEqual(ping);
  });

  it('closes when a control frame is absurdly long', async () => {
    far.write(Buffer.from([0x80, 3, 0, 2, 0, 0xff, 0xff, 0xff]));
    await settle();
    expect(closed).toBe(true);
  });

  it('closes when the peer ends', async () => {
    far.end();
    await settle();
    expect(closed).toBe(true);
  });
});
