import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { InstanceLayout } from '../../../src/lib/instance.ts';
import { runProcess } from './run-process.ts';

const CGROUP_ROOT = '/sys/fs/cgroup';
const NETNS_DIRS = ['/run/netns', '/var/run/netns'];

/**
 * The inodes of the network namespaces that the instance's processes are in now. Their bind mounts under /run/netns carry no
 * name of ours, so that they have to be taken down while the instance lives, to be looked for afterwards.
 */
export function networkNamespaces(layout: InstanceLayout): Set<number> {
  const own = statSync('/proc/self/ns/net').ino;
  const inodes = processesOf(layout).flatMap(({ pid }) => {
    const inode = statSync(`/proc/${pid}/ns/net`, { throwIfNoEntry: false })?.ino;
    return inode === undefined || inode === own ? [] : [inode];
  });
  return new Set(inodes);
}

/** Everything on the host that belongs to an instance: processes, mounts, cgroups, network, files. Empty after `down --purge`. */
export async function leftoversOf(layout: InstanceLayout, namespaces: ReadonlySet<number>): Promise<string[]> {
  const { rootDir, runDir, bridge, nftTable } = layout;
  const found = processesOf(layout).map(({ pid, command }) => `process ${pid}: ${command}`);
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const target = line.split(' ')[4];
    if (target && [rootDir, runDir].some((dir) => target === dir || target.startsWith(`${dir}/`))) {
      found.push(`mount ${target}`);
    }
  }
  found.push(...cgroupsOf(layout).map((directory) => `cgroup ${directory}`));
  const links = await runProcess('ip', ['-o', 'link', 'show', bridge]);
  if (links.code === 0) found.push(`bridge ${links.stdout.trim()}`);
  const tables = await runProcess('nft', ['list', 'tables']);
  found.push(...tables.stdout.split('\n').filter((line) => line.split(' ').includes(nftTable)));
  for (const directory of NETNS_DIRS.filter((d) => existsSync(d)).slice(0, 1)) {
    for (const name of readdirSync(directory)) {
      const inode = statSync(join(directory, name), { throwIfNoEntry: false })?.ino;
      if (inode !== undefined && namespaces.has(inode)) found.push(`network namespace ${join(directory, name)}`);
    }
  }
  for (const directory of [rootDir, runDir]) if (existsSync(directory)) found.push(`directory ${directory}`);
  const cniCache = '/var/lib/cni/results';
  for (const name of existsSync(cniCache) ? readdirSync(cniCache) : []) {
    if (readFileSync(join(cniCache, name), 'utf8').includes(`"${bridge}"`)) found.push(`CNI result ${name}`);
  }
  return found;
}

function processesOf(layout: InstanceLayout): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        const words = command.split(/[ =]/);
        const named = words.some((w) => [layout.rootDir, layout.runDir].some((d) => w === d || w.startsWith(`${d}/`)));
        const isDead = command === '' && readlinkOrUndefined(`/proc/${pid}/exe`) === undefined;
        return !isDead && (named || cgroup.includes(`${layout.cgroupParent}/`)) ? [{ pid: Number(pid), command }] : [];
      } catch {
        return []; // it ended while we looked
      }
    });
}

function readlinkOrUndefined(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function cgroupsOf(layout: InstanceLayout): string[] {
  const controllers = readdirSync(CGROUP_ROOT, { withFileTypes: true }).filter((e) => e.isDirectory());
  const parents = [CGROUP_ROOT, ...controllers.map((e) => join(CGROUP_ROOT, e.name))];
  return parents.map((parent) => join(parent, layout.cgroupParent)).filter((directory) => existsSync(directory));
}
