import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readInput } from './read-input.ts';

async function read(...parts: (string | number[])[]): Promise<string> {
  const stdin = new PassThrough();
  stdin.end(Buffer.concat(parts.map((part) => Buffer.from(part as string))));
  return await readInput({ stdin, cwd: '/' }, '-');
}

const utf16 = (text: string): number[] => [...Buffer.from(text, 'utf16le')];
const swapped = (text: string): number[] => [...Buffer.from(text, 'utf16le').swap16()];

test.each<[what: string, parts: (string | number[])[]]>([
  ['UTF-8', ['kind: \u00e4\u{1f600}\ufffd\n']],
  ['UTF-16, little end first', [[0xff, 0xfe], utf16('kind: \u00e4\u{1f600}\ufffd\n')]],
  ['UTF-16, big end first', [[0xfe, 0xff], swapped('kind: \u00e4\u{1f600}\ufffd\n')]],
])('%s', async (_what, parts) => {
  expect(await read(...parts)).toBe('kind: \u00e4\u{1f600}\ufffd\n');
});

test.each<[parts: (string | number[])[], place: string]>([
  [['a: 1\nb: \u00e4', [0xe4], '\n'], '2:5'],
  [['\ufffd\n\ufffd', [0xc3], ' \ufffd'], '2:2'],
  [[[0xe2, 0x82]], '1:1'],
  [['a: ', [0xed, 0xa0, 0x80]], '1:4'],
])('%j: the place of what is no UTF-8', async (parts, place) => {
  await expect(read(...parts)).rejects.toThrow(`-:${place}: not UTF-8`);
});

test('half a character of UTF-16', async () => {
  await expect(read([0xff, 0xfe, 0x61])).rejects.toThrow('-: not UTF-16, as which it begins');
});
