import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLASS_IN,
  decodeMessage,
  encodeMessage,
  labelsOf,
  looksLikeQuery,
  type Message,
  type ResourceRecord,
  TYPE,
} from './message.ts';
import { addressRecord, cnameRecord, ptrRecord, soaRecord, srvRecord, txtRecord } from './records.ts';

const message = (more: Partial<Message>): Message => ({
  id: 7,
  isResponse: true,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: true,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [{ name: 'web.shop.svc.cluster.local', type: TYPE.A, class: CLASS_IN }],
  answers: [],
  authorities: [],
  additionals: [],
  edns: undefined,
  ...more,
});
const web = 'web.shop.svc.cluster.local';

describe('dns-packet, which is not ours, reads what we write', () => {
  const answers: [ResourceRecord, string, unknown][] = [
    [addressRecord(web, 5, '10.96.0.7'), 'A', '10.96.0.7'],
    [addressRecord(web, 5, 'fd00::1:2'), 'AAAA', 'fd00::1:2'],
    [addressRecord(web, 5, '::ffff:192.0.2.1'), 'AAAA', '::ffff:c000:201'],
    [cnameRecord(web, 5, 'www.example.com'), 'CNAME', 'www.example.com'],
    [ptrRecord(web, 5, `a.${web}`), 'PTR', `a.${web}`],
    [txtRecord(web, 5, '1.1.0'), 'TXT', [Buffer.from('1.1.0')]],
    [
      srvRecord(`_http._tcp.${web}`, 5, { priority: 1, weight: 50, port: 8080, target: web }),
      'SRV',
      { priority: 1, weight: 50, port: 8080, target: web },
    ],
    [
      soaRecord('cluster.local', 5, 'ns.dns.cluster.local'),
      'SOA',
      {
        ...{ mname: 'ns.dns.cluster.local', rname: 'hostmaster.cluster.local' },
        ...{ serial: 1, refresh: 7200, retry: 1800, expire: 86400, minimum: 5 },
      },
    ],
  ];
  test.each(answers)('%j', (record, type, data) => {
    const read = dnsPacket.decode(encodeMessage(message({ answers: [record] })));
    expect(read.answers).toMatchObject([{ name: record.name, type, ttl: 5, class: 'IN', data }]);
    expect(read.questions).toEqual([{ name: web, type: 'A', class: 'IN' }]);
  });

  test('header and EDNS', () => {
    const edns = { payloadSize: 1232, version: 0, dnssecOk: true };
    const read = dnsPacket.decode(encodeMessage(message({ rcode: 16, authoritative: true, edns })));
    expect(read).toMatchObject({ id: 7, flag_qr: true, flag_aa: true, flag_tc: false, flag_rd: true, flag_ra: true });
    expect(read.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, extendedRcode: 1, flag_do: true }]);
  });
});

test('reads what dns-packet writes', () => {
  const bytes = dnsPacket.encode({
    type: 'query',
    id: 9,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.CHECKING_DISABLED,
    questions: [{ name: 'Example.COM', type: 'MX' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  expect(looksLikeQuery(bytes)).toBe(true);
  expect(decodeMessage(bytes)).toEqual(
    message({
      ...{ id: 9, isResponse: false, recursionAvailable: false, checkingDisabled: true },
      questions: [{ name: 'Example.COM', type: TYPE.MX, class: CLASS_IN }],
      edns: { payloadSize: 4096, version: 0, dnssecOk: false },
    }),
  );
});

test('whatever was read is the same when written and read again', () => {
  const label = fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((b) => Buffer.from(b).toString('latin1').replace(/[.\\]/g, '\\$&'));
  const name = fc.array(label, { maxLength: 4 }).map((labels) => labels.join('.'));
  const raw = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((b) => Buffer.from(b));
  const data = fc.oneof(
    fc.record({ type: fc.constantFrom<number>(TYPE.A, TYPE.TXT, 65, 257), data: fc.tuple(raw) }),
    fc.record({ type: fc.constantFrom<number>(TYPE.NS, TYPE.CNAME, TYPE.PTR), data: fc.tuple(name) }),
    fc.record({ type: fc.constant<number>(TYPE.MX), data: fc.tuple(fc.constant(Buffer.from([0, 10])), name) }),
    fc.record({ type: fc.constant<number>(TYPE.SRV), data: fc.tuple(fc.constant(Buffer.alloc(6, 3)), name) }),
    fc.record({ type: fc.constant<number>(TYPE.SOA), data: fc.tuple(name, name, fc.constant(Buffer.alloc(20, 5))) }),
  );
  const record = fc
    .tuple(name, fc.nat(2 ** 31), data)
    .map(([owner, ttl, rest]): ResourceRecord => ({ name: owner, ttl, class: CLASS_IN, ...rest }));
  fc.assert(
    fc.property(name, fc.array(record, { maxLength: 8 }), (asked, answers) => {
      const written = message({ questions: [{ name: asked, type: TYPE.A, class: CLASS_IN }], answers });
      expect(decodeMessage(encodeMessage(written))).toEqual(written);
    }),
  );
});

test('any bytes are read or refused, in time that follows their length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeMessage(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
});

test.each([
  ['a pointer to itself', [0xc0, 12]],
  ['pointers in a circle', [1, 97, 0xc0, 12]],
  ['a pointer ahead', [0xc0, 20]],
  ['a label of 64 bytes', [64]],
  ['the end of the message', [5, 97]],
])('refused: a name with %s', (_, name) => {
  const header = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(() => decodeMessage(Buffer.concat([header, Buffer.from(name), Buffer.alloc(4)]))).toThrow();
});

/** A message with a name that goes through so many pointers, each to the one before it, to the root's name. */
function pointing(pointers: number): Buffer {
  const header = [0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0];
  const question = [0, 0, 1, 0, 1];
  const chainAt = header.length + question.length + 11;
  const pointer = (i: number): number[] => [0xc0 | ((chainAt + 2 * i) >> 8), (chainAt + 2 * i) & 0xff];
  const chain = Array.from({ length: pointers - 1 }, (_, i) => (i === 0 ? [0xc0, 12] : pointer(i - 1))).flat();
  const holder = [0, 0, TYPE.TXT, 0, 1, 0, 0, 0, 0, chain.length >> 8, chain.length & 0xff, ...chain];
  const last = [...pointer(pointers - 2), 0, TYPE.TXT, 0, 1, 0, 0, 0, 0, 0, 0];
  return Buffer.from([...header, ...question, ...holder, ...last]);
}

test('refused: a name with more pointers than a name has labels, since each takes time', () => {
  expect(decodeMessage(pointing(127)).answers[1]).toMatchObject({ name: '' });
  expect(() => decodeMessage(pointing(128))).toThrow('a DNS name that points too often');
});

test('refused: more than one question', () => {
  const { questions } = message({});
  expect(() => decodeMessage(encodeMessage(message({ questions: [...questions, ...questions] })))).toThrow(
    'a DNS message with more than one question',
  );
});

describe('what does not fit', () => {
  const addresses = (count: number): ResourceRecord[] =>
    Array.from({ length: count }, (_, i) => addressRecord(web, 5, `10.0.0.${i}`));
  const edns = { payloadSize: 1232, version: 0, dnssecOk: false };

  test('28 addresses fit a plain datagram, since names are written once', () => {
    const bytes = encodeMessage(message({ answers: addresses(28) }), 512);
    expect(decodeMessage(bytes)).toMatchObject({ truncated: false });
  });

  test.each([
    [512, undefined],
    [512, edns],
    [1232, edns],
  ])('answers beyond %d bytes are cut off, and the message says so', (limit, withEdns) => {
    const bytes = encodeMessage(message({ answers: addresses(200), edns: withEdns }), limit);
    expect(bytes.length).toBeLessThanOrEqual(limit);
    expect(bytes.length).toBeGreaterThan(limit - 16);
    const read = decodeMessage(bytes);
    expect(read.truncated).toBe(true);
    expect(read.edns).toEqual(withEdns);
    expect(read.answers).toEqual(addresses(200).slice(0, read.answers.length));
  });

  test('additional records are left out without a word', () => {
    const read = decodeMessage(encodeMessage(message({ answers: addresses(2), additionals: addresses(200) }), 512));
    expect(read.truncated).toBe(false);
    expect(read.answers).toHaveLength(2);
    expect(read.additionals.length).toBeGreaterThan(20);
  });
});

test('labels', () => {
  expect(labelsOf('')).toEqual([]);
  expect(labelsOf('a.b\\.c.d\\\\.e')).toEqual(['a', 'b\\.c', 'd\\\\', 'e']);
  expect(() => encodeMessage(message({ answers: [cnameRecord(web, 5, 'x'.repeat(64))] }))).toThrow('not a domain name');
});
