import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { runningAgent } from '../agent/agent-file.ts';
import { findCniBinDir, findProgram, systemEnvironment } from '../cri/host-programs.ts';
import { firewallWarnings } from '../kubelet/network/firewall.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { DEFAULT_ROOT_DIR, instanceLayout } from '../lib/instance.ts';
import { runNft } from '../lib/nft.ts';
import type { HostFacts } from './doctor-checks.ts';

const COMMAND_TIMEOUT_MS = 10_000;

/** Looks at this host; changes nothing. @param port of the API server @param resolvConf the file that pods would get */
export async function collectHostFacts(rootDir: string, port: number, resolvConf: string): Promise<HostFacts> {
  const status = read('/proc/self/status') ?? '';
  const [containerd, runc, nft, ip, mount] = await Promise.all([
    versionOf('containerd', '--version'),
    versionOf('runc', '--version'),
    versionOf('nft', '--version'),
    versionOf('ip', '-Version'),
    versionOf('mount', '--version'),
  ]);
  const tables = nft === undefined ? undefined : await run('nft', ['list', 'tables']);
  // Why it cannot be found out is in nftError.
  const firewall = await firewallWarnings(runNft, instanceLayout(rootDir).bridge).catch(() => undefined);
  const ipForward = read('/proc/sys/net/ipv4/ip_forward')?.trim();
  return {
    rootDir,
    isDefaultRootDir: rootDir === DEFAULT_ROOT_DIR,
    uid: process.getuid?.() ?? -1,
    nodeVersion: process.versions.node,
    kernel: release(),
    filesystems: [...(read('/proc/filesystems') ?? '').matchAll(/(\w+)$/gm)].map((m) => m[1]!),
    namespaces: existsSync('/proc/self/ns') ? readdirSync('/proc/self/ns') : [],
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`),
    cgroups: cgroupsOf(read('/proc/self/mounts') ?? ''),
    programs: { containerd, shim: findProgram('containerd-shim-runc-v2'), runc, nft, ip, mount },
    cniDir: findCniBinDir(),
    nftError: tables?.error,
    port: { number: port, error: await portError(port) },
    disk: diskOf(rootDir),
    ipForward: ipForward === undefined ? undefined : ipForward === '1',
    firewall,
    resolvConf: resolverOf(resolvConf),
    instances: instancesOf(rootDir),
  };
}

/** cgroup mounts by version, from the text of /proc/self/mounts. */
function cgroupsOf(mounts: string): HostFacts['cgroups'] {
  const lines = mounts.split('\n').map((line) => line.split(' '));
  const unified = lines.find(([, , type]) => type === 'cgroup2');
  const path = unified?.[1];
  const known = ['cpu', 'cpuset', 'memory', 'pids', 'blkio', 'devices', 'freezer', 'hugetlb'];
  return {
    v2:
      path === undefined
        ? undefined
        : {
            path,
            controllers: (read(join(path, 'cgroup.controllers')) ?? '').split(/\s+/).filter(Boolean),
            writable: isWritable(path),
          },
    v1: lines
      .filter(([, , type]) => type === 'cgroup')
      .flatMap(([, at = '', , options = '']) =>
        options
          .split(',')
          .filter((o) => known.includes(o))
          .map((controller) => ({ controller, writable: isWritable(at) })),
      ),
  };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function diskOf(rootDir: string): HostFacts['disk'] {
  let path = rootDir;
  while (!existsSync(path) && path !== dirname(path)) path = dirname(path);
  const { bavail, blocks, bsize, ffree, files } = statfsSync(path);
  // File systems without a fixed number of inodes (btrfs) say 0 of 0.
  return { path, freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: files === 0 ? -1 : ffree };
}

function resolverOf(path: string): HostFacts['resolvConf'] {
  const text = read(path);
  if (text === undefined) return undefined;
  return { path, nameservers: [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((m) => m[1]!) };
}

function instancesOf(rootDir: string): HostFacts['instances'] {
  const own = instanceLayout(rootDir);
  const dir = dirname(own.runDir);
  return namesIn(dir)?.flatMap((id) => {
    const agent = runningAgent({ ...own, agentFile: join(dir, id, 'agent.json') });
    if (!agent) return [];
    const isDefault = id === instanceLayout(DEFAULT_ROOT_DIR).id;
    const known = id === own.id ? rootDir : isDefault ? DEFAULT_ROOT_DIR : undefined;
    return [{ rootDir: known, id, pid: agent.pid, server: agent.server, own: id === own.id }];
  });
}

/** Undefined where only others may look. */
function namesIn(dir: string): string[] | undefined {
  try {
    return readdirSync(dir);
  } catch (error) {
    return errnoOf(error) === 'EACCES' ? undefined : [];
  }
}

async function portError(port: number): Promise<string | undefined> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.on('error', (error) => resolve(errnoOf(error) === 'EADDRINUSE' ? 'in use' : messageOf(error)));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
  });
}

/** The first line that a program prints about its version, or undefined when there is no such program. */
async function versionOf(program: string, flag: string): Promise<string | undefined> {
  const path = findProgram(program);
  if (path === undefined) return undefined;
  const { output } = await run(path, [flag]);
  const version = /\bv?(\d+\.[\w.~+-]+)/.exec(output)?.[1];
  return version === undefined ? path : `${version} (${path})`;
}

async function run(program: string, args: string[]): Promise<{ output: string; error: string | undefined }> {
  try {
    const env = systemEnvironment();
    const { stdout, stderr } = await promisify(execFile)(program, args, { env, timeout: COMMAND_TIMEOUT_MS });
    return { output: stdout + stderr, error: undefined };
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0];
    return { output: '', error: said || messageOf(error) };
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
