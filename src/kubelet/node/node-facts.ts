import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, hostname, release, totalmem } from 'node:os';
import type { NodeFacts } from './node-status.ts';

/** The version of Kubernetes whose behaviour and words ours are. */
export const KUBERNETES_VERSION = 'v1.36.2';

const GO_ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };

/** Reads what there is to know about this machine. What cannot be read is left empty. */
export async function readNodeFacts(given: {
  readonly nodeName: string;
  readonly hostAddress: { readonly current: string };
  readonly kubeletPort: number;
  /** A directory on the file system that pods' data goes to. */
  readonly rootDir: string;
  readonly podCIDR?: string | undefined;
  readonly maxPods: number;
}): Promise<NodeFacts> {
  const [machineID, systemUUID, bootID, osRelease, appArmor, disk, memoryBytes] = await Promise.all([
    readText('/etc/machine-id'),
    readText('/sys/class/dmi/id/product_uuid'),
    readText('/proc/sys/kernel/random/boot_id'),
    readText('/etc/os-release'),
    readText('/sys/module/apparmor/parameters/enabled'),
    statfs(given.rootDir).catch(() => undefined),
    memoryCapacity(),
  ]);
  return {
    nodeName: given.nodeName,
    get hostIP() {
      return given.hostAddress.current;
    },
    hostname: hostname().toLowerCase(),
    cpus: availableParallelism(),
    memoryBytes,
    ephemeralStorageBytes: disk ? disk.blocks * disk.bsize : 0,
    maxPods: given.maxPods,
    kubeletPort: given.kubeletPort,
    kubeletVersion: KUBERNETES_VERSION,
    machineID,
    systemUUID: systemUUID || machineID,
    bootID,
    kernelVersion: release(),
    hasAppArmor: appArmor === 'Y',
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? '',
    architecture: GO_ARCHITECTURES[arch()] ?? arch(),
    podCIDR: given.podCIDR,
  };
}

/** Bytes of memory that pods can have: the machine's, or less where a cgroup (of a container that we run in) says so. */
export async function memoryCapacity(): Promise<number> {
  const limits = await Promise.all([
    readText('/sys/fs/cgroup/memory.max'),
    readText('/sys/fs/cgroup/memory/memory.limit_in_bytes'),
  ]);
  const bytes = limits.map(Number).filter((n) => Number.isFinite(n) && n > 0);
  return Math.min(totalmem(), ...bytes);
}

async function readText(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return '';
  }
}
