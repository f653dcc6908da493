import { formatTime } from '../../api/time.ts';

/** Writing ASN.1 in DER, as far as an X.509 certificate needs it. Every function returns a whole element. */

function element(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let left = length; left > 0; left >>>= 8) bytes.unshift(left & 0xff);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export const sequence = (...items: Uint8Array[]): Buffer => element(0x30, ...items);
export const set = (...items: Uint8Array[]): Buffer => element(0x31, ...items);
export const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text, 'utf8'));
export const octetString = (bytes: Uint8Array): Buffer => element(0x04, bytes);
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]));

/** A bit string whose last byte has `unused` unused bits. */
export const bitString = (bytes: Uint8Array, unused = 0): Buffer => element(0x03, Buffer.from([unused]), bytes);

/** A non-negative integer, big-endian. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  // A leading 1 bit would mean a negative number.
  return (digits[0] ?? 0) & 0x80 ? element(0x02, Buffer.from([0]), digits) : element(0x02, digits);
}

/** `[n]` in its explicit (constructed) form. */
export const explicit = (n: number, ...items: Uint8Array[]): Buffer => element(0xa0 | n, ...items);
/** `[n]` in its implicit form over primitive contents. */
export const implicit = (n: number, bytes: Uint8Array): Buffer => element(0x80 | n, bytes);

/** @param dotted `2.5.4.3` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return element(0x06, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after, as RFC 5280 wants it. @param ms wall time, ms since the epoch */
export function time(ms: number): Buffer {
  const digits = formatTime(ms).replace(/[-:T]/g, '');
  return ms < Date.UTC(2050, 0, 1)
    ? element(0x17, Buffer.from(digits.slice(2), 'ascii'))
    : element(0x18, Buffer.from(digits, 'ascii'));
}
