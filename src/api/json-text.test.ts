import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonSyntaxError, parseJson } from './json-text.ts';

test('reads every JSON value as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      expect(parseJson(text)).toEqual({ value: JSON.parse(text), duplicates: [] });
    }),
  );
});

test('accepts exactly what JSON.parse accepts', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"a"',
    ':',
    ',',
    '1',
    '-',
    '0',
    '.5',
    'e3',
    'true',
    'nul',
    '"\\u00',
    ' ',
    '"',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join('');
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (valid) expect(parseJson(text).value).toEqual(JSON.parse(text));
      else expect(() => parseJson(text)).toThrow(JsonSyntaxError);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['{"a":', 'unexpected end of JSON input'],
  ['', 'unexpected end of JSON input'],
  ['x', "invalid character 'x' looking for beginning of value"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
  ['[1 2]', "invalid character '2' after array element"],
  ['{} x', "invalid character 'x' after top-level value"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['tru3', "invalid character '3' in literal true (expecting 'e')"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ["'", "invalid character '\\'' looking for beginning of value"],
])('%j: %s', (text, message) => {
  expect(() => parseJson(text)).toThrow(message);
});

test('names duplicate keys by path; the last one counts', () => {
  const { value, duplicates } = parseJson('{"a":{"b":1,"b":2},"c":[{"d":1,"\\u0064":3}],"a":4}');
  expect(duplicates).toEqual(['a.b', 'c[0].d', 'a']);
  expect(value).toEqual({ a: 4, c: [{ d: 3 }] });
});

test('refuses nesting that would exhaust the stack', () => {
  expect(() => parseJson('['.repeat(100_000))).toThrow('exceeded max depth');
});
