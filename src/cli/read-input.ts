import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';

/**
 * The text of a file, or of standard input for `-`: UTF-8, or UTF-16 that begins with its mark, as kubectl reads them.
 * @throws UserError when it cannot be read, or is no text: naming the place
 */
export async function readInput(context: Pick<CliContext, 'stdin' | 'cwd'>, file: string): Promise<string> {
  if (file === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of context.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
    return textOf(Buffer.concat(chunks), file);
  }
  let bytes: Buffer;
  try {
    bytes = await readFile(resolve(context.cwd, file));
  } catch (error) {
    const why: Record<string, string> = { ENOENT: 'no such file', EISDIR: 'is a directory', EACCES: 'not readable' };
    throw new UserError(`${file}: ${why[errnoOf(error) ?? ''] ?? messageOf(error)}`);
  }
  return textOf(bytes, file);
}

function textOf(bytes: Buffer, file: string): string {
  const mark = bytes.toString('latin1', 0, 2);
  if (mark === '\xff\xfe' || mark === '\xfe\xff') {
    try {
      return new TextDecoder(mark === '\xff\xfe' ? 'utf-16le' : 'utf-16be', { fatal: true }).decode(bytes);
    } catch (error) {
      throw new UserError(`${file}: not UTF-16, as which it begins`, { hint: 'save the file as UTF-8', cause: error });
    }
  }
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new UserError(`${file}:${firstForeign(bytes)}: not UTF-8`, { hint: 'save the file as UTF-8' });
}

/** `LINE:COLUMN` of the first bytes that are no UTF-8; there are some. */
function firstForeign(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  let at = -1;
  let offset: number;
  do {
    at = text.indexOf('\ufffd', at + 1);
    offset = Buffer.byteLength(text.slice(0, at));
    // The file may hold the replacement character itself.
  } while (bytes.toString('latin1', offset, offset + 3) === '\xef\xbf\xbd');
  const before = text.slice(0, at);
  return `${before.split('\n').length}:${at - before.lastIndexOf('\n')}`;
}
