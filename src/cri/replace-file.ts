import { readFile, rename, writeFile } from 'node:fs/promises';

/**
 * Gives a file this content in one step, so that whoever watches it never reads half of it; leaves it alone when it has it.
 * Resolves with whether it had another.
 */
export async function replaceFile(path: string, content: string): Promise<boolean> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === content) return false;
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return true;
}
