import { expect, test } from 'vitest';
import { copyJson } from './copy-json.ts';

test('nothing of the copy is shared with the original', () => {
  const original = { text: 'a', none: null, list: [1, { deep: [true] }], map: { x: {} } };
  const copy = copyJson(original);
  expect(copy).toEqual(original);
  (copy.list[1] as { deep: boolean[] }).deep.push(false);
  copy.map.x = 1;
  expect(original).toEqual({ text: 'a', none: null, list: [1, { deep: [true] }], map: { x: {} } });
});

test('a field that is called __proto__ is data', () => {
  const copy = copyJson(JSON.parse('{"__proto__": {"a": 1}}') as object);
  expect(JSON.stringify(copy)).toBe('{"__proto__":{"a":1}}');
  expect((copy as { a?: number }).a).toBeUndefined();
});
