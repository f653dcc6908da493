import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { SeededRandom } from '../lib/random.ts';
import { Forwarder } from './forwarder.ts';
import { CLASS_IN, type Message, type Question, RCODE, type ResourceRecord, TYPE } from './message.ts';
import { addressRecord, cnameRecord, soaRecord } from './records.ts';
import { emptyReply, type ForwardOptions, type Reply, respond } from './resolver.ts';

/** What a server does with a query: answers, fails, or stays silent. */
type Behaviour = Partial<Reply> | Error | 'silent';

let clock: FakeClock;
let sent: { server: string; query: Message; signal: AbortSignal }[];
let behaviour: Record<string, Behaviour>;
let servers: string[];
let forwarder: Forwarder;
const A = '192.0.2.1';
const B = '192.0.2.2';
const answer = (ttl: number, address = '203.0.113.1'): Partial<Reply> => ({
  answers: [addressRecord('www.example.com', ttl, address)],
});

beforeEach(() => {
  clock = new FakeClock();
  sent = [];
  servers = [A, B];
  behaviour = { [A]: answer(60), [B]: answer(60, '203.0.113.2') };
  forwarder = new Forwarder({
    servers: async () => servers,
    exchange: (server, query, signal) => {
      sent.push({ server, query, signal });
      const does = behaviour[server]!;
      if (does instanceof Error) return Promise.reject(does);
      if (does === 'silent') return new Promise(() => {});
      return Promise.resolve(respond(query, { ...emptyReply(RCODE.NOERROR), ...does }));
    },
    clock,
    random: new SeededRandom(3),
    logger: silentLogger,
  });
});

const www: Question = { name: 'www.example.com', type: TYPE.A, class: CLASS_IN };
const plain: ForwardOptions = { dnssecOk: false, checkingDisabled: false };
const asked = (): string[] => sent.map(({ server }) => server);
/** The reply, and after how many milliseconds it came. */
async function ask(question = www, options = plain): Promise<{ reply: Reply; afterMs: number }> {
  const start = clock.monotonic();
  let done: { reply: Reply; afterMs: number } | undefined;
  void forwarder.resolve(question, options).then((reply) => {
    done = { reply, afterMs: clock.monotonic() - start };
  });
  for (let i = 0; i < 100 && !done; i++) await clock.advance(i === 0 ? 0 : 100);
  expect(clock.pendingTimers, 'timers left').toBe(0);
  return done!;
}
const first = ({ answers: [record] }: Reply): ResourceRecord => record!;

describe('which server', () => {
  test('the first, with recursion and an id nobody guesses', async () => {
    const { reply, afterMs } = await ask();
    expect(afterMs).toBe(0);
    expect(first(reply)).toEqual(addressRecord('www.example.com', 60, '203.0.113.1'));
    expect(asked()).toEqual([A]);
    await ask({ ...www, name: 'other.example.com' });
    expect(sent[0]!.query).toMatchObject({ isResponse: false, recursionDesired: true, questions: [www] });
    expect(sent[0]!.query.id).not.toBe(sent[1]!.query.id);
  });

  test.each<[string, Behaviour]>([
    ['that cannot be reached', new Error('ECONNREFUSED')],
    ['that fails', { rcode: RCODE.SERVFAIL }],
    ['that refuses', { rcode: RCODE.REFUSED }],
  ])('the next one at once after one %s', async (_, does) => {
    behaviour[A] = does;
    const { reply, afterMs } = await ask();
    expect([first(reply).data[0]?.slice(3), afterMs]).toEqual([Buffer.from([2]), 0]);
    expect(asked()).toEqual([A, B]);
  });

  test('the next one as well after one that is silent for a second; the answer that comes first counts', async () => {
    behaviour[A] = 'silent';
    const { afterMs } = await ask();
    expect(afterMs).toBe(1000);
    expect(asked()).toEqual([A, B]);
    // The other question is given up, with its socket.
    expect(sent[0]!.signal.aborted).toBe(true);
  });

  test('the one that answered last is asked first', async () => {
    behaviour[A] = 'silent';
    await ask();
    const { afterMs } = await ask({ ...www, name: 'other.example.com' });
    expect(afterMs).toBe(0);
    expect(asked()).toEqual([A, B, B]);
  });

  test('"no such name" is an answer', async () => {
    behaviour[A] = { rcode: RCODE.NXDOMAIN };
    expect((await ask()).reply.rcode).toBe(RCODE.NXDOMAIN);
    expect(asked()).toEqual([A]);
  });
});

describe('without an answer', () => {
  test('one silent server is asked three times, then SERVFAIL before the client gives up', async () => {
    servers = [A];
    behaviour[A] = 'silent';
    const { reply, afterMs } = await ask();
    expect(reply.rcode).toBe(RCODE.SERVFAIL);
    expect(afterMs).toBe(4500);
    expect(asked()).toEqual([A, A, A]);
  });

  test('all fail: at once, with what they said', async () => {
    behaviour[A] = { rcode: RCODE.REFUSED };
    behaviour[B] = { rcode: RCODE.REFUSED };
    const { reply, afterMs } = await ask();
    expect([reply.rcode, afterMs]).toEqual([RCODE.REFUSED, 0]);
  });

  test('nobody to ask', async () => {
    servers = [];
    expect((await ask()).reply.rcode).toBe(RCODE.SERVFAIL);
  });

  test('a failure is remembered for a second', async () => {
    servers = [A];
    behaviour[A] = new Error('ENETUNREACH');
    await ask();
    behaviour[A] = answer(60);
    expect((await ask()).reply.rcode).toBe(RCODE.SERVFAIL);
    await clock.advance(1000);
    expect((await ask()).reply.rcode).toBe(RCODE.NOERROR);
  });
});

describe('what is remembered', () => {
  test('an answer, for its time, which goes by', async () => {
    await ask();
    await clock.advance(59_000);
    const { reply } = await ask({ ...www, name: 'WWW.example.com' });
    expect(first(reply).ttl).toBe(1);
    expect(sent).toHaveLength(1);
    await clock.advance(1000);
    expect(first((await ask()).reply).ttl).toBe(60);
    expect(sent).toHaveLength(2);
  });

  test('the shortest time of all records counts', async () => {
    behaviour[A] = {
      answers: [
        cnameRecord('www.example.com', 300, 'cdn.example.com'),
        addressRecord('cdn.example.com', 10, '192.0.2.9'),
      ],
    };
    await ask();
    await clock.advance(10_000);
    await ask();
    expect(sent).toHaveLength(2);
  });

  test.each<[string, Partial<Reply>, number]>([
    ['an answer of a day', answer(86_400), 300],
    ['an answer of no time', answer(0), 0],
    ['"no such name" with an SOA', { rcode: RCODE.NXDOMAIN, authorities: [soaRecord('example.com', 20, 'ns')] }, 20],
    ['"no such name" of an hour', { rcode: RCODE.NXDOMAIN, authorities: [soaRecord('example.com', 3600, 'ns')] }, 30],
    ['"no such name" without an SOA', { rcode: RCODE.NXDOMAIN }, 0],
    ['no data with an SOA', { authorities: [soaRecord('example.com', 20, 'ns')] }, 20],
    ['no data without', {}, 0],
    [
      'an alias without data',
      { answers: [cnameRecord(www.name, 300, 'x')], authorities: [soaRecord('example.com', 20, 'ns')] },
      20,
    ],
  ])('%s for %3$d s', async (_, does, seconds) => {
    behaviour[A] = does;
    await ask();
    if (seconds > 0) {
      await clock.advance(seconds * 1000 - 1);
      await ask();
      expect(sent, 'still').toHaveLength(1);
      await clock.advance(1);
    }
    await ask();
    expect(sent, 'not any more').toHaveLength(2);
  });

  test('for each question by itself', async () => {
    await ask();
    await ask({ ...www, type: TYPE.AAAA });
    await ask(www, { ...plain, dnssecOk: true });
    await ask(www, { ...plain, checkingDisabled: true });
    expect(sent).toHaveLength(4);
  });

  test('10 000 questions; the oldest goes first, what is asked for stays', async () => {
    const name = (i: number): Question => ({ ...www, name: `n${i}.example.com` });
    for (let i = 0; i < 10_000; i++) await forwarder.resolve(name(i), plain);
    await forwarder.resolve(name(0), plain);
    await forwarder.resolve(name(10_000), plain);
    sent = [];
    for (const i of [0, 2, 10_000]) await forwarder.resolve(name(i), plain);
    expect(sent).toHaveLength(0);
    await forwarder.resolve(name(1), plain);
    expect(sent).toHaveLength(1);
  });

  test('nothing of servers that are no longer ours', async () => {
    await ask();
    servers = [B];
    expect(first((await ask()).reply)).toEqual(addressRecord('www.example.com', 60, '203.0.113.2'));
  });
});

describe('a question that is on its way', () => {
  test('is sent once for all who ask', async () => {
    behaviour[A] = 'silent';
    const replies = Promise.all([1, 2, 3].map(() => forwarder.resolve(www, plain)));
    await clock.advance(1000);
    expect((await replies).map((reply) => reply.rcode)).toEqual([0, 0, 0]);
    expect(asked()).toEqual([A, B]);
  });

  test('and comes back to us ends as a failure, for all', async () => {
    servers = ['loop'];
    const looped: Promise<Reply>[] = [];
    behaviour.loop = 'silent';
    const start = forwarder.resolve(www, plain);
    for (let i = 0; i < 45; i++) {
      while (looped.length < sent.length) looped.push(forwarder.resolve(www, plain));
      await clock.advance(100);
    }
    expect((await start).rcode).toBe(RCODE.SERVFAIL);
    expect(looped).toHaveLength(3);
    for (const each of looped) expect((await each).rcode).toBe(RCODE.SERVFAIL);
  });

  test('there are at most 1000 of them', async () => {
    behaviour[A] = 'silent';
    behaviour[B] = 'silent';
    const name = (i: number): Question => ({ ...www, name: `n${i}.example.com` });
    const all = Array.from({ length: 1001 }, (_, i) => forwarder.resolve(name(i), plain));
    expect((await all[1000]!).rcode).toBe(RCODE.SERVFAIL);
    expect(sent).toHaveLength(1000);
    await clock.advance(5000);
    await Promise.all(all);
  });
});
