import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** The host's mounts, as the volumes need them. */
export interface Mounter {
  /** Paths of all mount points at or below `dir`, deepest first. `dir` must have no link in it. */
  below(dir: string): Promise<string[]>;
  /** What it holds is not swapped out, where the kernel can do that. @param options such as `size=1048576` */
  tmpfs(dir: string, options: readonly string[]): Promise<void>;
  /** Shows `source`, which may be a `/proc/PID/fd/N`, at `target`, without resolving either by name. */
  bind(source: string, target: string): Promise<void>;
  unmount(path: string): Promise<void>;
}

const run = promisify(execFile);

/** Mounts with util-linux's `mount` and `umount`, which every Linux has. */
export class HostMounter implements Mounter {
  /** Linux 6.4 and later know it. */
  private knowsNoswap = true;

  async below(dir: string): Promise<string[]> {
    return mountPoints(await readFile('/proc/self/mountinfo', 'utf8'), dir);
  }

  async tmpfs(dir: string, options: readonly string[]): Promise<void> {
    const mount = (all: readonly string[]): Promise<void> =>
      call('mount', ['-t', 'tmpfs', '-o', all.join(','), 'tmpfs', dir]);
    if (this.knowsNoswap) {
      try {
        return await mount([...options, 'noswap']);
      } catch {
        // It may be that, or anything.
      }
    }
    await mount(options);
    this.knowsNoswap = false;
  }

  async bind(source: string, target: string): Promise<void> {
    await call('mount', ['--no-canonicalize', '--bind', source, target]);
  }

  async unmount(path: string): Promise<void> {
    try {
      await call('umount', ['--no-canonicalize', path]);
    } catch (error) {
      // Somebody still has a file open in it: it goes away with the last of them.
      if (!/busy/.test((error as Error).message)) throw error;
      await call('umount', ['--no-canonicalize', '--lazy', path]);
    }
  }
}

async function call(command: string, args: string[]): Promise<void> {
  try {
    await run(command, args, { env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(stderr?.trim() || message, { cause: error });
  }
}

/** The mount points at or below `dir`, deepest (and newest) first, from the text of `/proc/PID/mountinfo` (see proc(5)). */
export function mountPoints(mountinfo: string, dir: string): string[] {
  const found: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const field = line.split(' ', 5)[4];
    if (field === undefined) continue;
    const path = field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (path === dir || path.startsWith(`${dir}/`)) found.push(path);
  }
  // A mount can only be covered by a later line, so the reverse order is safe, and puts the deepest first.
  return found.reverse();
}
