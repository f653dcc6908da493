import { expect, test } from 'vitest';
import { goQuote } from './go-text.ts';

test.each([
  ['plain text', '"plain text"'],
  ['"q" \\ \t\n', '"\\"q\\" \\\\ \\t\\n"'],
  ['\x07\b\f\r\v', '"\\a\\b\\f\\r\\v"'],
  ['\x01\x7f', '"\\x01\\x7f"'],
  ['\u0085\u00a0\u200b\u2028', '"\\u0085\\u00a0\\u200b\\u2028"'],
  ['\u{e0001}', '"\\U000e0001"'],
  ['\u00fc\u20ac\u{1f600}', '"\u00fc\u20ac\u{1f600}"'],
])('%j as Go quotes it', (text, quoted) => {
  expect(goQuote(text)).toBe(quoted);
});
