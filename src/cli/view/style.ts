import { stripVTControlCharacters, styleText } from 'node:util';

/** Colours by meaning. Without colours each returns its text as it is. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

const as = (format: Parameters<typeof styleText>[0]) => (text: string) =>
  styleText(format, text, { validateStream: false });
const COLORED: Style = { good: as('green'), bad: as('red'), warn: as('yellow'), dim: as('dim'), bold: as('bold') };
const same = (text: string): string => text;
const PLAIN: Style = { good: same, bad: same, warn: same, dim: same, bold: same };

export function styleOf(color: boolean): Style {
  return color ? COLORED : PLAIN;
}

/** Columns a text takes on a terminal. Exact for what we print ourselves: colours take none, every other character one. */
export function displayWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Shortens a text to `width` columns, with an ellipsis, keeping colours. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let left = Math.max(0, width - 1);
  let out = '';
  let colored = false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control sequences
  for (const [part] of text.matchAll(/\u001b\[[0-9;]*m|[^\u001b]/gu)) {
    if (part.startsWith('\u001b')) {
      out += part;
      colored = true;
    } else if (left > 0) {
      out += part;
      left--;
    }
  }
  return `${out}${width > 0 ? '…' : ''}${colored ? '\u001b[0m' : ''}`;
}

/**
 * Breaks a text between words into lines of at most `width` columns; a longer word stands alone. The first line begins with
 * `first`, the others with as many spaces. Without colours.
 */
export function wrap(text: string, width: number, first: string): string[] {
  const indent = ' '.repeat(first.length);
  const lines: string[] = [];
  let words: string[] = [];
  for (const word of text.split(' ')) {
    const begin = lines.length === 0 ? first : indent;
    if (words.length > 0 && displayWidth(begin + [...words, word].join(' ')) > width) {
      lines.push(begin + words.join(' '));
      words = [];
    }
    words.push(word);
  }
  return [...lines, (lines.length === 0 ? first : indent) + words.join(' ')];
}

/**
 * Makes what a container or a stranger wrote safe for a terminal: no control characters, so no cursor moves and no colours.
 * Line ends become spaces.
 */
export function plainText(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}
