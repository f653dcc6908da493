import { expect, test } from 'vitest';
import { parseWarnings } from './warning-header.ts';

test.each<[string | string[] | undefined, string[]]>([
  [undefined, []],
  ['299 - "unknown field \\"dta\\""', ['unknown field "dta"']],
  ['299 - "a, b", 299 kube "c\\\\d" "Sat, 01 Jan 2022"', ['a, b', 'c\\d']],
  [
    ['299 - "one"', '299 - "two"'],
    ['one', 'two'],
  ],
  ['nonsense', []],
])('%j', (header, texts) => {
  expect(parseWarnings(header)).toEqual(texts);
});
