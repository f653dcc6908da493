import { expect, test } from 'vitest';
import { displayWidth, plainText, shorten, styleOf, wrap } from './style.ts';
import { TableLayout } from './table.ts';

test('columns stand under each other and widths are kept for later rows', () => {
  const layout = new TableLayout();
  expect(
    layout.render([
      ['NAME', 'READY', 'AGE'],
      ['init-demo', '0/1', '3s'],
    ]),
  ).toEqual(['NAME        READY   AGE', 'init-demo   0/1     3s']);
  expect(layout.render([['p', '1/1', '4s']])).toEqual(['p           1/1     4s']);
});

test('colours take no room', () => {
  const red = styleOf(true).bad('x');
  expect(red).not.toBe('x');
  expect(displayWidth(red)).toBe(1);
  expect(new TableLayout().render([[red, 'b']])[0]).toBe(`${red}     b`);
});

test('a long text is shortened to the width, colours closed', () => {
  expect(shorten('abcdef', 4)).toBe('abc…');
  expect(shorten('abc', 3)).toBe('abc');
  const long = shorten(styleOf(true).bad('abcdef'), 4);
  expect(displayWidth(long)).toBe(4);
  expect(long.endsWith('\u001b[0m')).toBe(true);
});

test('text from containers cannot drive the terminal', () => {
  expect(plainText('\u001b[2Jhi\r\nthere\u0007\n')).toBe('hi there');
});

test('long text is broken between words', () => {
  expect(wrap('one two three', 9, '- ')).toEqual(['- one two', '  three']);
  expect(wrap('averylongword b', 6, '')).toEqual(['averylongword', 'b']);
  expect(wrap('', 6, '- ')).toEqual(['- ']);
});
