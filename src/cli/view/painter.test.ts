import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Painter } from './painter.ts';

/** What a terminal of 80 columns shows after these bytes: just the sequences that the painter uses. */
function screenAfter(bytes: string): string[] {
  const lines: string[] = [''];
  let row = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals speak in control sequences
  for (const [token] of bytes.matchAll(/\u001b\[[0-9;?]*[a-zA-Z]|\n|[^\u001b\n]+/g)) {
    const up = token.endsWith('F') && token.startsWith('\u001b') ? Number.parseInt(token.slice(2), 10) : 0;
    if (up > 0) row -= up;
    else if (token === '\u001b[2K') lines[row] = '';
    else if (token === '\u001b[J') lines.splice(row, lines.length, '');
    else if (token === '\n') lines[++row] ??= '';
    else if (!token.startsWith('\u001b')) lines[row] += token;
    if (row < 0) throw new Error('above the screen');
  }
  return lines.slice(0, -1);
}

function painter(rows?: number): { painter: Painter; screen: () => string[]; written: () => string } {
  const out = Object.assign(new PassThrough(), rows === undefined ? {} : { rows });
  let all = '';
  const written = (): string => {
    all += (out.read() as Buffer | null)?.toString() ?? '';
    return all;
  };
  return { painter: new Painter(out), screen: () => screenAfter(written()), written };
}

test('a block is repainted in place, whether it grows or shrinks', () => {
  const { painter: p, screen } = painter();
  p.paint(['a', 'b', 'c']);
  p.paint(['A', 'B']);
  expect(screen()).toEqual(['A', 'B']);
  p.paint(['1', '2', '3', '4']);
  expect(screen()).toEqual(['1', '2', '3', '4']);
});

test('printed lines stay above the block', () => {
  const { painter: p, screen } = painter();
  p.paint(['block']);
  p.print(['said']);
  p.paint(['BLOCK', 'more']);
  expect(screen()).toEqual(['said', 'BLOCK', 'more']);
});

test('what does not fit is cut, since it could not be repainted', () => {
  const { painter: p, screen } = painter(4);
  p.paint(['1', '2', '3', '4', '5']);
  p.paint(['1', '2', '3', '4', '6']);
  expect(screen()).toEqual(['1', '2', '…']);
});

test('nothing is written when nothing changed, and the cursor is given back', () => {
  const { painter: p, written } = painter();
  p.paint(['a']);
  const before = written();
  p.paint(['a']);
  expect(written()).toBe(before);
  p.done();
  expect(written().endsWith('\u001b[?25h\u001b[?2026l')).toBe(true);
});
