import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readTerminationMessage } from './read-termination-message.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-message-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function read(message: string | undefined, log: string | undefined, policy = 'FallbackToLogsOnError', exitCode = 1) {
  const messageFile = join(dir, 'message');
  const logFile = join(dir, '0.log');
  if (message !== undefined) writeFileSync(messageFile, message);
  if (log !== undefined) writeFileSync(logFile, log);
  return readTerminationMessage({ messageFile, policy, exitCode, logFile });
}

const line = (text: string, flag = 'F'): string => `2026-01-01T00:00:00.000000000Z stdout ${flag} ${text}\n`;

test('what the container wrote, its end if it is long', async () => {
  expect(await read('bye\n', line('log'))).toBe('bye\n');
  expect(await read(`${'x'.repeat(5000)}end`, undefined)).toBe(`${'x'.repeat(4093)}end`);
});

test('the log, when it wrote nothing and failed', async () => {
  expect(await read('', line('a') + line('par', 'P') + line('tial') + line(''))).toBe('a\npartial\n\n');
  expect(await read(undefined, line('a'))).toBe('a\n');
});

test('the last 80 lines of the log, the last 2048 bytes of those', async () => {
  const many = Array.from({ length: 100 }, (_, i) => line(`${i}`)).join('');
  const text = await read('', many);
  expect(text.split('\n')[0]).toBe('20');
  expect(text.endsWith('99\n')).toBe(true);
  expect(await read('', line('y'.repeat(3000)))).toBe(`${'y'.repeat(2047)}\n`);
});

test('no log by policy File or after success', async () => {
  expect(await read('', line('a'), 'File')).toBe('');
  expect(await read('', line('a'), 'FallbackToLogsOnError', 0)).toBe('');
});

test('a log that is gone is said', async () => {
  expect(await read('', undefined)).toMatch(/^Error on reading termination message from logs: ENOENT/);
});
