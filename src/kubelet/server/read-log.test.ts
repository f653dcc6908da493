import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../lib/clock.ts';
import { type LogOptions, parseLogOptions } from './log-options.ts';
import { readLog } from './read-log.ts';

const clock = new SystemClock();
let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'read-log-'));
  path = join(dir, '0.log');
});
afterEach(() => rmSync(dir, { recursive: true }));

const T = '2026-01-01T00:00:0';
const line = (second: number, content: string, stream = 'stdout', tag = 'F'): string =>
  `${T}${second}.5Z ${stream} ${tag} ${content}\n`;

function options(query: string): LogOptions {
  const parsed = parseLogOptions(new URLSearchParams(query), Date.parse('2026-01-01T00:00:09Z'));
  if ('error' in parsed) throw new Error(parsed.error);
  return parsed;
}

async function read(query = ''): Promise<string> {
  const chunks: Buffer[] = [];
  const signal = new AbortController().signal;
  const log = readLog(await open(path), path, options(query), async () => true, clock, signal);
  for await (const chunk of log) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a log', () => {
  it('shows the contents of both streams in order', async () => {
    writeFileSync(path, line(1, 'a b  c') + line(2, '', 'stderr') + line(3, 'ü'));
    expect(await read()).toBe('a b  c\n\nü\n');
    expect(await read('stream=Stderr')).toBe('\n');
    expect(await read('stream=Stdout')).toBe('a b  c\nü\n');
  });

  it('joins parts of lines per stream, and gives each whole line one timestamp with nine digits', async () => {
    writeFileSync(path, line(1, 'ab', 'stdout', 'P') + line(2, 'cd', 'stdout', 'P') + line(3, 'ef') + line(4, 'x'));
    expect(await read()).toBe('abcdef\nx\n');
    expect(await read('timestamps=true')).toBe(`${T}1.500000000Z abcdef\n${T}4.500000000Z x\n`);
    writeFileSync(path, '2026-01-01T00:00:00+02:00 stdout F zoned\n');
    expect(await read('timestamps=1')).toBe('2026-01-01T00:00:00.000000000+02:00 zoned\n');
  });

  it('leaves out what is not in the format, and a line that is still being written', async () => {
    writeFileSync(path, `garbage\n${line(1, 'good')}${T}2Z stdout F half`);
    expect(await read()).toBe('good\n');
  });

  it('begins at sinceTime or sinceSeconds ago', async () => {
    writeFileSync(path, line(1, 'a') + line(4, 'b') + line(7, 'c'));
    expect(await read(`sinceTime=${T}4Z`)).toBe('b\nc\n');
    expect(await read('sinceSeconds=3')).toBe('c\n');
  });

  it('ends after limitBytes, timestamps included', async () => {
    writeFileSync(path, line(1, 'abc') + line(2, 'def'));
    expect(await read('limitBytes=5')).toBe('abc\nd');
    expect(await read('limitBytes=4&timestamps=1')).toBe('2026');
  });

  it.each([
    [0, ''],
    [1, 'c\n'],
    [2, 'b1b2\nc\n'],
    [3, 'a\nb1b2\nc\n'],
    [9, 'a\nb1b2\nc\n'],
  ])('shows the last %i lines, parts joined', async (n, expected) => {
    writeFileSync(path, line(1, 'a') + line(2, 'b1', 'stdout', 'P') + line(2, 'b2') + line(3, 'c'));
    expect(await read(`tailLines=${n}`)).toBe(expected);
  });

  it('counts the lines of the wanted stream only, and none that is still being written', async () => {
    writeFileSync(path, `${line(1, 'a', 'stderr')}${line(2, 'b', 'stderr')}${line(3, 'c')}${T}4Z stderr F d`);
    expect(await read('tailLines=1&stream=Stderr')).toBe('b\n');
  });

  it('finds the tail across the blocks that it reads', async () => {
    const long = Array.from({ length: 3000 }, (_, i) => `${i} ${'x'.repeat(i % 300)}`);
    writeFileSync(path, long.map((text) => line(1, text)).join(''));
    for (const n of [1, 7, 500, 1234, 2999, 3000, 5000]) {
      expect(await read(`tailLines=${n}`)).toBe(`${long.slice(-n).join('\n')}\n`);
    }
  });
});

describe('following', () => {
  /** Follows; `until` resolves once that much text has come. */
  function follow(query: string): {
    until(text: string): Promise<void>;
    end(): void;
    abort(): void;
    done: Promise<string>;
  } {
    let text = '';
    let over = false;
    let wake = (): void => {};
    const abort = new AbortController();
    const done = (async () => {
      const ended = async () => over;
      const log = readLog(await open(path), path, options(`follow=1&${query}`), ended, clock, abort.signal);
      for await (const chunk of log) {
        text += chunk.toString();
        wake();
      }
      return text;
    })();
    const until = async (wanted: string): Promise<void> => {
      while (text !== wanted) await new Promise<void>((resolve) => (wake = resolve));
    };
    return { until, end: () => (over = true), abort: () => abort.abort(), done };
  }

  it('shows what is written, and ends when the container has ended and everything is read', async () => {
    writeFileSync(path, line(1, 'a') + line(2, 'b'));
    const log = follow('tailLines=1');
    await log.until('b\n');
    appendFileSync(path, line(3, 'c'));
    await log.until('b\nc\n');
    log.end();
    appendFileSync(path, line(4, 'd'));
    expect(await log.done).toBe('b\nc\nd\n');
  });

  it('goes on in the new file when the log is rotated', async () => {
    writeFileSync(path, line(1, 'a'));
    const log = follow('');
    await log.until('a\n');
    renameSync(path, `${path}.20260101`);
    appendFileSync(`${path}.20260101`, line(2, 'late'));
    writeFileSync(path, line(3, 'new'));
    await log.until('a\nlate\nnew\n');
    appendFileSync(path, line(4, 'newer'));
    await log.until('a\nlate\nnew\nnewer\n');
    log.end();
    await log.done;
  });

  it('ends when its reader leaves, or has read limitBytes', async () => {
    writeFileSync(path, line(1, 'a'));
    const left = follow('');
    await left.until('a\n');
    left.abort();
    expect(await left.done).toBe('a\n');
    expect(await follow('limitBytes=1').done).toBe('a');
  });
});

describe('the options', () => {
  const parse = (query: string) => parseLogOptions(new URLSearchParams(query), 10_000);
  it('are read from a query', () => {
    expect(parse('follow=true&previous=1&tailLines=0&sinceSeconds=4')).toMatchObject({
      follow: true,
      previous: true,
      timestamps: false,
      tailLines: 0,
      since: 6000,
    });
  });

  it.each([
    ['tailLines=-1', 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['limitBytes=x', 'limitBytes: Invalid value: x: must be greater than or equal to 1'],
    ['sinceTime=noon', 'sinceTime: Invalid value: noon: must be a time'],
    ['stream=both', 'stream: Unsupported value: "both": supported values: "All", "Stderr", "Stdout"'],
  ])('%s is refused', (query, error) => {
    expect(parse(query)).toEqual({ error });
  });
});
