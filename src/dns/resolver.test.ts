import { describe, expect, test } from 'vitest';
import type { Service } from '../api/generated/types.ts';
import { SeededRandom } from '../lib/random.ts';
import type { ClusterState } from './cluster-state.ts';
import { CLASS_IN, type Message, type Question, RCODE, TYPE } from './message.ts';
import { addressRecord, cnameRecord, soaRecord } from './records.ts';
import { emptyReply, type Reply, Resolver } from './resolver.ts';

const zone = { domain: 'cluster.local', serverAddress: '10.96.0.10' };
const services: Record<string, Service['spec']> = {
  web: { clusterIP: '10.96.0.7' },
  many: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', '10.96.0.2', '10.96.0.3'] },
  outside: { type: 'ExternalName', externalName: 'www.example.com' },
  inside: { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local' },
  gone: { type: 'ExternalName', externalName: 'none.shop.svc.cluster.local' },
  ring: { type: 'ExternalName', externalName: 'ring.shop.svc.cluster.local' },
};
const state: ClusterState = {
  hasNamespace: (name) => name === 'shop',
  service: (_, name) => services[name] && { metadata: { name, namespace: 'shop' }, spec: services[name] },
  serviceAt: () => undefined,
  slicesOf: () => [],
  slicesAt: () => [],
  hasPodAt: () => false,
};
const host = (name: string): string => `${name}.shop.svc.cluster.local`;

const forwarded: Question[] = [];
const www: Reply = {
  ...emptyReply(RCODE.NOERROR),
  answers: [cnameRecord('www.example.com', 60, 'cdn.example.com'), addressRecord('cdn.example.com', 60, '192.0.2.1')],
};
const resolver = new Resolver({
  zone,
  state,
  random: new SeededRandom(1),
  forward: async (question) => {
    forwarded.push(question);
    return question.name === 'www.example.com' ? www : emptyReply(RCODE.NXDOMAIN);
  },
});
const query = (name: string, more: Partial<Message> = {}, type: number = TYPE.A): Message => ({
  ...{ id: 4711, isResponse: false, opcode: 0, rcode: 0 },
  ...{ authoritative: false, truncated: false, recursionDesired: true, recursionAvailable: false },
  ...{ authenticData: false, checkingDisabled: false },
  questions: [{ name, type, class: CLASS_IN }],
  ...{ answers: [], authorities: [], additionals: [], edns: undefined },
  ...more,
});

describe('the header', () => {
  test('of an answer of ours', async () => {
    expect(await resolver.answer(query('Web.shop.svc.cluster.local'))).toMatchObject({
      ...{
        id: 4711,
        isResponse: true,
        authoritative: true,
        recursionDesired: true,
        recursionAvailable: true,
        rcode: 0,
      },
      // As it was asked: clients compare it, some of them in upper and lower case.
      questions: [{ name: 'Web.shop.svc.cluster.local' }],
      answers: [addressRecord(host('web'), 5, '10.96.0.7')],
      edns: undefined,
    });
  });

  test('of an answer of others', async () => {
    const edns = { payloadSize: 4096, version: 0, dnssecOk: true };
    expect(await resolver.answer(query('www.example.com', { edns }))).toMatchObject({
      ...{ authoritative: false, rcode: 0, edns: { payloadSize: 1232, version: 0, dnssecOk: true } },
      answers: www.answers,
    });
  });
});

test.each<[string, string, number]>([
  ['a name that does not exist', host('none'), RCODE.NXDOMAIN],
  ['a name without records of this type', 'shop.svc.cluster.local', RCODE.NOERROR],
])('%s comes with the SOA, so that the "no" is remembered', async (_, name, rcode) => {
  const response = await resolver.answer(query(name));
  expect(response).toMatchObject({ rcode, answers: [] });
  expect(response.authorities).toEqual([soaRecord('cluster.local', 5, 'ns.dns.cluster.local')]);
});

describe('an ExternalName', () => {
  test('is followed outside', async () => {
    const response = await resolver.answer(query(host('outside')));
    expect(response.answers).toEqual([cnameRecord(host('outside'), 5, 'www.example.com'), ...www.answers]);
    expect(forwarded.at(-1)).toEqual({ name: 'www.example.com', type: TYPE.A, class: CLASS_IN });
  });

  test('is followed inside', async () => {
    const response = await resolver.answer(query(host('inside')));
    expect(response.answers).toEqual([
      cnameRecord(host('inside'), 5, host('web')),
      addressRecord(host('web'), 5, '10.96.0.7'),
    ]);
  });

  test('that leads nowhere says so and shows the way', async () => {
    expect(await resolver.answer(query(host('gone')))).toMatchObject({
      rcode: RCODE.NXDOMAIN,
      answers: [cnameRecord(host('gone'), 5, host('none'))],
    });
  });

  test('that leads to itself ends', async () => {
    expect(await resolver.answer(query(host('ring')))).toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  test('asked for as an alias is not followed', async () => {
    const before = forwarded.length;
    const response = await resolver.answer(query(host('outside'), {}, TYPE.CNAME));
    expect(response.answers).toEqual([cnameRecord(host('outside'), 5, 'www.example.com')]);
    expect(forwarded).toHaveLength(before);
  });
});

test('the addresses of a name take turns to be the first, in equal parts', async () => {
  const first = new Map<string, number>();
  for (let i = 0; i < 3000; i++) {
    const { answers } = await resolver.answer(query(host('many')));
    expect(answers).toHaveLength(3);
    const address = (answers[0]!.data[0] as Buffer).join('.');
    first.set(address, (first.get(address) ?? 0) + 1);
  }
  expect([...first.keys()].sort()).toEqual(['10.96.0.1', '10.96.0.2', '10.96.0.3']);
  for (const count of first.values()) expect(Math.abs(count - 1000)).toBeLessThan(100);
});

const edns = { payloadSize: 1232, version: 1, dnssecOk: false };
const web = { name: host('web'), type: TYPE.A, class: CLASS_IN };
test.each<[string, Partial<Message>, number]>([
  ['another opcode', { opcode: 5 }, RCODE.NOTIMP],
  ['no question', { questions: [] }, RCODE.FORMERR],
  ['two questions', { questions: [web, web] }, RCODE.FORMERR],
  ['answers in a query', { answers: [addressRecord('x', 1, '192.0.2.1')] }, RCODE.FORMERR],
  ['EDNS of another version', { edns }, RCODE.BADVERS],
  ['a zone transfer', { questions: [{ ...web, type: TYPE.AXFR }] }, RCODE.REFUSED],
  ['another class', { questions: [{ ...web, class: 3 }] }, RCODE.REFUSED],
])('refused: %s', async (_, more, rcode) => {
  const before = forwarded.length;
  expect(await resolver.answer(query(host('web'), more))).toMatchObject({ rcode, answers: [], isResponse: true });
  expect(forwarded).toHaveLength(before);
});
