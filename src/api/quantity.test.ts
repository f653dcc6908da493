import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMillis,
  quantityValue,
} from './quantity.ts';

describe('canonical form', () => {
  test.each([
    ['0', '0'],
    ['0Ki', '0'],
    ['1', '1'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['5.', '5'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['100000', '100k'],
    ['1500', '1500'],
    ['1024Ki', '1Mi'],
    ['1.5Gi', '1536Mi'],
    ['1000Ki', '1000Ki'],
    ['0.5Ki', '512'],
    ['1e3', '1e3'],
    ['12E6', '12e6'],
    ['1E', '1E'],
    ['-1', '-1'],
    ['+2', '2'],
    ['1u', '1u'],
    ['0.0000000001', '1n'],
    ['128974848', '128974848'],
    ['64Mi', '64Mi'],
    ['007', '7'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
  });

  test('the canonical form of a canonical form is itself, and worth the same', () => {
    const suffix = fc.constantFrom('', 'm', 'u', 'n', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'E-2');
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(999), suffix, (whole, fraction, unit) => {
        const text = `${whole}.${fraction}${unit}`;
        const canonical = canonicalQuantity(text);
        // What was binary and is no multiple of 1024 is written without a suffix, and so read as decimal: 626000, then 626k.
        if (/^-?\d+$/.test(canonical) && /i$/.test(unit)) {
          expect(compareQuantities(canonicalQuantity(canonical), canonical)).toBe(0);
        } else expect(canonicalQuantity(canonical)).toBe(canonical);
        if (!/i$/.test(unit)) expect(compareQuantities(text, canonical)).toBe(0);
      }),
    );
  });
});

test.each(['', 'abc', '1..2', '1 Gi', '--1', '1.2.3', 'Ki', '.'])('%j is no quantity', (text) => {
  expect(() => parseQuantity(text)).toThrow(
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  );
});

test.each(['1e', '1KiB', '1ki', '1mm', '1K'])('%j has an unknown suffix', (text) => {
  expect(() => parseQuantity(text)).toThrow(/unable to parse quantity's suffix|must match the regular expression/);
});

test('values round up', () => {
  expect(quantityValue('1.1')).toBe(2);
  expect(quantityValue('64Mi')).toBe(67108864);
  expect(quantityMillis('0.0001')).toBe(1);
  expect(quantityMillis('250m')).toBe(250);
  expect(quantityValue('-1.1')).toBe(-2);
});

test('compares across formats', () => {
  expect(compareQuantities('1Ki', '1024')).toBe(0);
  expect(compareQuantities('1M', '1Mi')).toBe(-1);
  expect(compareQuantities('2', '1900m')).toBe(1);
});

test('adds', () => {
  expect(formatQuantity(addQuantities(parseQuantity('500m'), parseQuantity('1')))).toBe('1500m');
  expect(formatQuantity(addQuantities(parseQuantity('0'), parseQuantity('64Mi')))).toBe('64Mi');
});

test('an absurd exponent costs nothing', () => {
  expect(() => parseQuantity('1e999999999')).not.toThrow();
});
