import { isIPv4 } from 'node:net';
import { CLASS_IN, type ResourceRecord, TYPE } from './message.ts';

/** Makers of the records that we answer with ourselves. Times to live are in seconds. */

function record(name: string, type: number, ttl: number, ...data: (string | Buffer)[]): ResourceRecord {
  return { name, type, class: CLASS_IN, ttl, data };
}

/** A or AAAA, after the address. */
export function addressRecord(name: string, ttl: number, address: string): ResourceRecord {
  return isIPv4(address)
    ? record(name, TYPE.A, ttl, Buffer.from(address.split('.').map(Number)))
    : record(name, TYPE.AAAA, ttl, ipv6Bytes(address));
}

export function cnameRecord(name: string, ttl: number, target: string): ResourceRecord {
  return record(name, TYPE.CNAME, ttl, target);
}

export function nsRecord(name: string, ttl: number, server: string): ResourceRecord {
  return record(name, TYPE.NS, ttl, server);
}

export function ptrRecord(name: string, ttl: number, target: string): ResourceRecord {
  return record(name, TYPE.PTR, ttl, target);
}

/** @param text at most 255 bytes */
export function txtRecord(name: string, ttl: number, text: string): ResourceRecord {
  const bytes = Buffer.from(text);
  return record(name, TYPE.TXT, ttl, Buffer.concat([Buffer.from([bytes.length]), bytes]));
}

export function srvRecord(
  name: string,
  ttl: number,
  service: { readonly priority: number; readonly weight: number; readonly port: number; readonly target: string },
): ResourceRecord {
  return record(name, TYPE.SRV, ttl, uint16s(service.priority, service.weight, service.port), service.target);
}

/** The start of authority of a zone that nobody transfers: all its times but the negative one (`ttl`, RFC 2308) say nothing. */
export function soaRecord(zone: string, ttl: number, server: string): ResourceRecord {
  const times = Buffer.alloc(20);
  [1, 7200, 1800, 86_400, ttl].forEach((value, i) => {
    times.writeUInt32BE(value, i * 4);
  });
  return record(zone, TYPE.SOA, ttl, server, `hostmaster.${zone}`, times);
}

/** How long a "no" may be remembered: the smaller of the SOA's own time and its minimum (RFC 2308, section 5). */
export function negativeTtl(soa: ResourceRecord): number {
  const times = soa.data.at(-1);
  return Buffer.isBuffer(times) && times.length >= 20 ? Math.min(soa.ttl, times.readUInt32BE(16)) : 0;
}

function uint16s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    bytes.writeUInt16BE(value, i * 2);
  });
  return bytes;
}

function ipv6Bytes(address: string): Buffer {
  // The URL parser writes any form of an address, also one that ends like an IPv4 address, in hexadecimal groups.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return uint16s(...[...first, ...zeros, ...last].map((group) => Number.parseInt(group, 16)));
}
