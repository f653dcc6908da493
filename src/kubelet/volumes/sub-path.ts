import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, realpath, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { assert, errnoOf } from '../../lib/errors.ts';
import type { Mounter } from './mounter.ts';

/** Only names a file, does not open it (open(2)); Node does not list it. The same on x86-64 and arm64. */
const O_PATH = 0o10000000;
const NAME_ONLY = O_PATH | constants.O_NOFOLLOW;

/**
 * Binds the file or directory `subPath` of a volume to `target`, and creates it as a directory when it is missing. Containers write to
 * volumes while we look, and may put links there that lead out: so the path is walked one name at a time, by descriptor,
 * following nothing, and what is bound is the descriptor. Links that stay inside the volume are fine (`pkg/volume/util/subpath`).
 * @param subPath relative, without `..`
 */
export async function bindSubPath(volume: string, subPath: string, target: string, mounter: Mounter): Promise<void> {
  const handle = await openInside(await realpath(volume), subPath);
  try {
    const source = await handle.stat();
    await mkdir(dirname(target), { recursive: true, mode: 0o750 });
    // Mounts are listed by their real paths.
    const real = join(await realpath(dirname(target)), basename(target));
    if ((await mounter.below(real)).includes(real)) {
      const shown = await stat(real);
      if (shown.dev === source.dev && shown.ino === source.ino) return;
      await mounter.unmount(real);
    }
    await removeTarget(real);
    if (source.isDirectory()) await mkdir(real, { mode: 0o750 });
    else await writeFile(real, '', { mode: 0o640 });
    await mounter.bind(`/proc/${process.pid}/fd/${handle.fd}`, real);
  } finally {
    await handle.close();
  }
}

/** An earlier target, on which nothing is mounted any more; it may have been of the other kind. Never more than an empty one. */
async function removeTarget(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return unlink(path);
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Opens what `subPath` leads to now, if that is inside `base`; makes the directories that are missing. */
async function openInside(base: string, subPath: string): Promise<FileHandle> {
  const { existing, missing } = await deepestExisting(base, names(subPath));
  let handle = await open(base, NAME_ONLY | constants.O_DIRECTORY);
  try {
    const { mode } = await handle.stat();
    for (const name of names(relativeTo(base, existing))) handle = await step(handle, name);
    for (const name of missing) {
      const made = await makeDir(handle, name);
      handle = await step(handle, name);
      if (made) await chmod(pathOf(handle), mode & 0o7777);
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** How far the path exists already, links resolved, and what is missing after that. */
async function deepestExisting(
  base: string,
  path: readonly string[],
): Promise<{ existing: string; missing: readonly string[] }> {
  for (let length = path.length; length > 0; length--) {
    try {
      return { existing: await realpath(join(base, ...path.slice(0, length))), missing: path.slice(length) };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return { existing: base, missing: path };
}

/** From an open directory to what it holds under `name`; closes the directory. Refuses links. */
async function step(parent: FileHandle, name: string): Promise<FileHandle> {
  const child = await open(join(pathOf(parent), name), NAME_ONLY);
  if ((await child.stat()).isSymbolicLink()) {
    await child.close();
    throw new Error(`${name} became a link`);
  }
  await parent.close();
  return child;
}

/** @returns whether it was made here */
async function makeDir(parent: FileHandle, name: string): Promise<boolean> {
  try {
    await mkdir(join(pathOf(parent), name), { mode: 0o700 });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function pathOf(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

function relativeTo(base: string, path: string): string {
  if (path === base) return '';
  const prefix = base === '/' ? '/' : `${base}/`;
  if (!path.startsWith(prefix)) throw new Error('the path leads out of the volume');
  return path.slice(prefix.length);
}

function names(path: string): string[] {
  const list = normalize(path)
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  assert(!list.includes('..'), 'a subPath has no ..');
  return list;
}
