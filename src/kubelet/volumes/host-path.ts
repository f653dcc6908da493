import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { HostPathVolumeSource } from '../../api/generated/types.ts';

type FileType = 'Directory' | 'File' | 'Socket' | 'CharDevice' | 'BlockDevice';

const DESCRIPTION: Record<FileType, string> = {
  Directory: 'directory',
  File: 'file',
  Socket: 'socket file',
  CharDevice: 'character device',
  BlockDevice: 'block device',
};

/**
 * Checks a hostPath volume against its type, and makes it for the `OrCreate` types (0755, 0644). Links are followed: the host's
 * administrator made them. Without a type nothing is checked. Words: `pkg/volume/hostpath/host_path.go`.
 */
export async function setUpHostPath({ path, type = '' }: HostPathVolumeSource): Promise<void> {
  if (path.split('/').includes('..')) throw new Error(`invalid HostPath \`${path}\`: must not contain '..'`);
  if (type === '') return;
  const stats = await statIfThere(path);
  if (!stats && type === 'DirectoryOrCreate') {
    await mkdir(path, { recursive: true, mode: 0o755 });
    return;
  }
  if (!stats && type === 'FileOrCreate') {
    await (await open(path, 'a', 0o644)).close();
    return;
  }
  const wanted = type.replace('OrCreate', '') as FileType;
  const description = DESCRIPTION[wanted];
  if (description === undefined) throw new Error(`${type} is an invalid volume type`);
  if (!stats || fileType(stats) !== wanted) {
    throw new Error(`hostPath type check failed: ${path} is not a ${description}`);
  }
}

/** What cannot be looked at is not there, as upstream takes it. */
function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

function fileType(stats: Stats): FileType | undefined {
  if (stats.isDirectory()) return 'Directory';
  if (stats.isFile()) return 'File';
  if (stats.isSocket()) return 'Socket';
  if (stats.isCharacterDevice()) return 'CharDevice';
  if (stats.isBlockDevice()) return 'BlockDevice';
  return undefined;
}
