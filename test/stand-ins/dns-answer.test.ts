import { expect, test } from 'vitest';
import { dnsAnswer } from './dns-answer.ts';

const hosts = new Map([['info.cern.ch', '198.18.0.7']]);

function query(name: string, type: number): Buffer {
  const labels = name.split('.').map((l) => Buffer.from([l.length, ...Buffer.from(l)]));
  const header = Buffer.from([0xab, 0xcd, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

test('a known name has an address record, in whatever case it is asked for', () => {
  const q = query('Info.CERN.ch', 1);
  const answer = dnsAnswer(q, hosts)!;
  expect(answer.subarray(0, 2)).toEqual(q.subarray(0, 2)); // the same id
  expect(answer[3]! & 0x0f).toBe(0); // no error
  expect(answer.readUInt16BE(6)).toBe(1); // one answer
  expect(answer.subarray(12, q.length)).toEqual(q.subarray(12)); // the question, as it was asked
  expect([...answer.subarray(-4)]).toEqual([198, 18, 0, 7]);
});

test('a known name has no record of another type', () => {
  const answer = dnsAnswer(query('info.cern.ch', 28), hosts)!;
  expect(answer[3]! & 0x0f).toBe(0);
  expect(answer.readUInt16BE(6)).toBe(0);
});

test('an unknown name does not exist', () => {
  const answer = dnsAnswer(query('example.com', 1), hosts)!;
  expect(answer[3]! & 0x0f).toBe(3);
  expect(answer.readUInt16BE(6)).toBe(0);
});

test.each([
  ['too short', Buffer.alloc(5)],
  ['an answer, not a query', Buffer.from(query('info.cern.ch', 1)).fill(0x84, 2, 3)],
  ['a name that does not end', query('info.cern.ch', 1).subarray(0, 20)],
  ['no type after the name', query('info.cern.ch', 1).subarray(0, -3)],
])('no answer to what is %s', (_, message) => {
  expect(dnsAnswer(message, hosts)).toBeUndefined();
});
