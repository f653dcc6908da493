import { expect, test } from 'vitest';
import { expandStrictly, expandVariables } from './expand-variables.ts';

const variables = new Map([
  ['A', 'a'],
  ['B', '$(A)'],
  ['EMPTY', ''],
]);

// Cases after third_party/forked/golang/expansion/expand_test.go.
test.each([
  ['$(A)', 'a'],
  ['$(A)-$(A)', 'a-a'],
  ['$(B)', '$(A)'],
  ['$(EMPTY)x', 'x'],
  ['$(NOPE)', '$(NOPE)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$a'],
  ['$$$$(A)', '$$(A)'],
  ['$A', '$A'],
  ['$(A', '$(A'],
  ['$()', '$()'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$$', '$'],
])('%s becomes %s', (text, expanded) => {
  expect(expandVariables(text, variables)).toBe(expanded);
});

test('strictly, a missing name is an error', () => {
  expect(expandStrictly('$(A)/$$(NOPE)', variables)).toBe('a/$(NOPE)');
  expect(() => expandStrictly('$(NOPE)/$(A)', variables)).toThrow(/^missing value for NOPE$/);
  expect(() => expandStrictly('$(Z)$(NOPE)$(Z)', variables)).toThrow(/^missing value for NOPE, Z$/);
  expect(() => expandStrictly('$(E)', new Map([['E', '']]))).toThrow(/^missing value for E$/);
});
