import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatTime } from '../../api/time.ts';
import { errnoOf } from '../../lib/errors.ts';

export interface PayloadFile {
  readonly data: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/** The files of a volume by their path in it. */
export type Payload = ReadonlyMap<string, PayloadFile>;

const DATA_LINK = '..data';

/**
 * Makes `dir` show exactly these files, all at once: they are written to a new directory `..TIME`, to which the link `..data` is
 * then switched by a rename; the names that containers see are links through `..data`. A reader sees the old files or the new
 * ones, never a mixture (`pkg/volume/util/atomic_writer.go`). Nothing is touched when nothing changed.
 * @param now wall time, ms since the epoch
 * @param prepare called before the new directory becomes visible, to set owners
 */
export async function writeAtomically(
  dir: string,
  payload: Payload,
  now: number,
  prepare: () => Promise<void> = async () => {},
): Promise<void> {
  for (const path of payload.keys()) checkPath(path);
  const current = await currentDir(dir);
  if (current === undefined || !(await shows(join(dir, current), payload))) {
    const stamp = formatTime(now)
      .replace(/[^0-9]+/g, '_')
      .replace(/_$/, '');
    const fresh = await mkdtemp(join(dir, `..${stamp}.`));
    await chmod(fresh, 0o755);
    for (const [path, file] of payload) {
      const target = join(fresh, path);
      await mkdir(dirname(target), { recursive: true, mode: 0o755 });
      await writeFile(target, file.data, { flag: 'wx' });
      await chmod(target, file.mode);
    }
    await prepare();
    const temporary = join(dir, `${DATA_LINK}_tmp`);
    await rm(temporary, { force: true });
    await symlink(fresh.slice(dir.length + 1), temporary);
    await rename(temporary, join(dir, DATA_LINK));
  }
  await matchLinks(dir, payload);
}

/** Links for what is there now, none for what is gone, and no directory left of earlier times or of a crash. */
async function matchLinks(dir: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0]!));
  const keep = new Set([DATA_LINK, await currentDir(dir)]);
  for (const name of await readdir(dir)) {
    if (wanted.delete(name) || keep.has(name)) continue;
    await rm(join(dir, name), { recursive: true, force: true });
  }
  for (const name of wanted) await symlink(`${DATA_LINK}/${name}`, join(dir, name));
}

async function currentDir(dir: string): Promise<string | undefined> {
  try {
    return await readlink(join(dir, DATA_LINK));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function shows(dir: string, payload: Payload): Promise<boolean> {
  let entries: string[];
  try {
    entries = await readdir(dir, { recursive: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  let files = 0;
  for (const entry of entries) {
    const stats = await stat(join(dir, entry));
    if (stats.isDirectory()) continue;
    const wanted = payload.get(entry);
    // fsGroup may have added bits to the mode; it can take none away.
    if (!wanted || (stats.mode & wanted.mode) !== wanted.mode) return false;
    if (!wanted.data.equals(await readFile(join(dir, entry)))) return false;
    files++;
  }
  return files === payload.size;
}

/** Keeps every file inside the volume, whatever validation let through. */
function checkPath(path: string): void {
  const parts = path.split('/');
  if (path === '') throw new Error('invalid path: must not be empty');
  if (path.startsWith('/')) throw new Error(`invalid path: must be relative: ${path}`);
  if (parts.includes('..')) throw new Error(`invalid path: must not contain '..': ${path}`);
  if (path.startsWith('..')) throw new Error(`invalid path: must not start with '..': ${path}`);
}
