import { createSocket } from 'node:dgram';
import { Resolver as NodeResolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SystemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { networkExchange } from './exchange.ts';
import { CLASS_IN, decodeMessage, encodeMessage, type Message, RCODE, type ResourceRecord, TYPE } from './message.ts';
import { addressRecord, cnameRecord, txtRecord } from './records.ts';
import { emptyReply, respond } from './resolver.ts';
import { TcpFramer, tcpFrame } from './tcp-frame.ts';

// On real sockets of loopback, with Node's own resolver (c-ares) as a client that is not ours.

const addresses = (name: string, count: number): ResourceRecord[] =>
  Array.from({ length: count }, (_, i) => addressRecord(name, 5, `10.0.${i >> 8}.${i & 255}`));
const query = (name: string, more: Partial<Message> = {}): Message => ({
  ...{ id: 4711, isResponse: false, opcode: 0, rcode: 0 },
  ...{ authoritative: false, truncated: false, recursionDesired: true, recursionAvailable: false },
  ...{ authenticData: false, checkingDisabled: false },
  questions: [{ name, type: TYPE.A, class: CLASS_IN }],
  ...{ answers: [], authorities: [], additionals: [], edns: undefined },
  ...more,
});

let server: DnsServer;
let client: NodeResolver;
beforeAll(async () => {
  server = await startDnsServer({
    address: '127.0.0.1',
    port: 0,
    clock: new SystemClock(),
    logger: silentLogger,
    answer: async (asked) => {
      const { name, type } = asked.questions[0]!;
      const answers: Record<string, ResourceRecord[]> = {
        small: addresses('small', 2),
        large: addresses('large', 500),
        text: [txtRecord('text', 5, '1.1.0')],
        broken: [cnameRecord('broken', 5, 'x'.repeat(70))],
      };
      // A server from before EDNS, as it answers to what it does not know.
      if (name === 'old' && asked.edns) return { ...respond(asked, emptyReply(RCODE.FORMERR)), edns: undefined };
      if (name === 'old') return respond(asked, { ...emptyReply(0), answers: addresses('old', 1) });
      const found = answers[name];
      if (!found) return respond(asked, emptyReply(RCODE.NXDOMAIN));
      return respond(asked, {
        ...emptyReply(0),
        answers: found.filter((record) => record.type === type || name === 'broken'),
      });
    },
  });
  client = new NodeResolver({ tries: 1, timeout: 2000 });
  client.setServers([`127.0.0.1:${server.port}`]);
});
afterAll(() => server.close());

async function overUdp(bytes: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4');
  socket.send(bytes, server.port, '127.0.0.1');
  const [answer] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return answer;
}

test('addresses and text', async () => {
  expect((await client.resolve4('small')).sort()).toEqual(['10.0.0.0', '10.0.0.1']);
  expect(await client.resolveTxt('text')).toEqual([['1.1.0']]);
  await expect(client.resolve6('small')).rejects.toMatchObject({ code: 'ENODATA' });
  await expect(client.resolve4('none')).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

test('what does not fit a datagram is fetched over TCP', async () => {
  expect(await client.resolve4('large')).toHaveLength(500);
});

test.each<[string, Message['edns'], number]>([
  ['no EDNS', undefined, 512],
  ['little', { payloadSize: 100, version: 0, dnssecOk: false }, 512],
  ['more than is safe', { payloadSize: 65_535, version: 0, dnssecOk: false }, 1232],
])('a datagram is as large as the client takes: %s', async (_, edns, limit) => {
  const bytes = await overUdp(encodeMessage(query('large', { edns })));
  expect(bytes.length).toBeLessThanOrEqual(limit);
  expect(bytes.length).toBeGreaterThan(limit - 30);
  expect(decodeMessage(bytes)).toMatchObject({ truncated: true, id: 4711 });
});

test('several queries on one connection, in pieces', async () => {
  const socket = connect(server.port, '127.0.0.1');
  const frames = Buffer.concat([1, 2, 3].map((id) => tcpFrame(encodeMessage(query('small', { id })))));
  const framer = new TcpFramer();
  const ids: number[] = [];
  socket.setNoDelay();
  for (const at of [0, 1, 5, 40]) socket.write(frames.subarray(at, { 0: 1, 1: 5, 5: 40 }[at] ?? frames.length));
  for await (const chunk of socket) {
    for (const message of framer.push(chunk as Buffer)) ids.push(decodeMessage(message).id);
    if (ids.length === 3) break;
  }
  expect(ids.sort()).toEqual([1, 2, 3]);
});

test('what cannot be read is refused, what is no query is not answered', async () => {
  const garbage = Buffer.concat([encodeMessage(query('small')).subarray(0, 12), Buffer.from([0xc0, 0xff, 0, 0])]);
  expect(decodeMessage(await overUdp(garbage))).toMatchObject({ id: 4711, rcode: RCODE.FORMERR });
  const socket = createSocket('udp4');
  const answers: Buffer[] = [];
  socket.on('message', (bytes) => answers.push(bytes));
  for (const bytes of [
    Buffer.alloc(3),
    encodeMessage({ ...query('small'), isResponse: true }),
    encodeMessage(query('none')),
  ])
    socket.send(bytes, server.port, '127.0.0.1');
  await once(socket, 'message');
  socket.close();
  expect(answers.map((bytes) => decodeMessage(bytes).rcode)).toEqual([RCODE.NXDOMAIN]);
});

test('a query with more questions than an answer has room for is refused, and the next one answered', async () => {
  const many = Buffer.alloc(60_000);
  many.writeUInt16BE(11_000, 4);
  const socket = connect(server.port, '127.0.0.1');
  socket.write(tcpFrame(many));
  socket.write(tcpFrame(encodeMessage(query('small', { id: 2 }))));
  const framer = new TcpFramer();
  const rcodes: number[] = [];
  for await (const chunk of socket) {
    for (const message of framer.push(chunk as Buffer)) rcodes.push(decodeMessage(message).rcode);
    if (rcodes.length === 2) break;
  }
  expect(rcodes.sort()).toEqual([RCODE.NOERROR, RCODE.FORMERR]);
});

test('one client does not get all connections', async () => {
  const sockets = Array.from({ length: 40 }, () =>
    connect({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.9' }),
  );
  const closed: unknown[] = [];
  for (const socket of sockets) socket.on('error', () => {}).on('close', () => closed.push(socket));
  await expect.poll(() => closed.length).toBe(8);
  const other = connect(server.port, '127.0.0.1');
  other.write(tcpFrame(encodeMessage(query('small'))));
  const [answer] = (await once(other, 'data')) as [Buffer];
  expect(decodeMessage(answer.subarray(2)).answers).toHaveLength(2);
  for (const socket of [other, ...sockets]) socket.destroy();
});

test('an answer that cannot be written is a failure of the server', async () => {
  expect(decodeMessage(await overUdp(encodeMessage(query('broken'))))).toMatchObject({ rcode: RCODE.SERVFAIL });
});

test('a port in use', async () => {
  const options = {
    address: '127.0.0.1',
    clock: new SystemClock(),
    logger: silentLogger,
    answer: async (q: Message) => q,
  };
  await expect(startDnsServer({ ...options, port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('as a client of others: TCP for what is truncated, no EDNS for old servers, none there', async () => {
  const exchange = networkExchange(server.port);
  const edns = { payloadSize: 1232, version: 0, dnssecOk: false };
  const { signal } = new AbortController();
  expect((await exchange('127.0.0.1', query('large', { edns }), signal)).answers).toHaveLength(500);
  expect((await exchange('127.0.0.1', query('old', { edns }), signal)).answers).toHaveLength(1);
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address();
  const given = new AbortController();
  const waiting = networkExchange(port)('127.0.0.1', query('small'), given.signal);
  await once(silent, 'message');
  given.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  silent.close();
  await once(silent, 'close');
  await expect(networkExchange(port)('127.0.0.1', query('small'), signal)).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
});

test('as a client of others: what does not belong to the question is not believed', async () => {
  const liar = createSocket('udp4');
  liar.bind(0, '127.0.0.1');
  await once(liar, 'listening');
  liar.on('message', (bytes, from) => {
    const asked = decodeMessage(bytes);
    const reply = (more: Partial<Message>, address: string): Buffer =>
      encodeMessage({
        ...respond(asked, { ...emptyReply(0), answers: [addressRecord('small', 5, address)] }),
        ...more,
      });
    const answers = [
      reply({ id: asked.id ^ 1 }, '192.0.2.1'),
      reply({ questions: [{ name: 'other', type: TYPE.A, class: CLASS_IN }] }, '192.0.2.2'),
      reply({ isResponse: false }, '192.0.2.3'),
      Buffer.from('nonsense'),
      reply({}, '203.0.113.1'),
    ];
    for (const each of answers) liar.send(each, from.port, from.address);
  });
  const exchange = networkExchange(liar.address().port);
  const { answers } = await exchange('127.0.0.1', query('small'), new AbortController().signal);
  expect(answers).toEqual([addressRecord('small', 5, '203.0.113.1')]);
  liar.close();
});
