import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';

/** The text of a file, or of standard input for `-`. @throws UserError */
export async function readInput(context: Pick<CliContext, 'stdin' | 'cwd'>, file: string): Promise<string> {
  if (file === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of context.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
    return Buffer.concat(chunks).toString('utf8');
  }
  try {
    return await readFile(resolve(context.cwd, file), 'utf8');
  } catch (error) {
    const why: Record<string, string> = { ENOENT: 'no such file', EISDIR: 'is a directory', EACCES: 'not readable' };
    throw new UserError(`${file}: ${why[errnoOf(error) ?? ''] ?? messageOf(error)}`);
  }
}
