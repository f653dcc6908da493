import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../lib/errors.ts';

/** Where programs of the system are, whatever PATH we were started with (sudo and cron leave out sbin). */
const SYSTEM_DIRS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Where CNI plugins are: Debian's package, then everybody else. */
const CNI_DIRS = ['/usr/lib/cni', '/opt/cni/bin'];
/** The plugins that a pod's network is made with. */
const CNI_PLUGINS = ['bridge', 'host-local', 'loopback'];

/** PATH with the system's directories at its end. */
export function systemPath(path: string = process.env.PATH ?? ''): string {
  return [...new Set([...path.split(delimiter).filter(Boolean), ...SYSTEM_DIRS])].join(delimiter);
}

/** Ours, with that PATH: for the system's programs. */
export function systemEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: systemPath() };
}

/** The absolute path of a program, or undefined when there is none. */
export function findProgram(name: string, path: string = systemPath()): string | undefined {
  return path
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find(isExecutable);
}

/** The directory that has all CNI plugins a pod's network is made with, or undefined. */
export function findCniBinDir(cniDirs: readonly string[] = CNI_DIRS): string | undefined {
  return cniDirs.find((dir) => CNI_PLUGINS.every((plugin) => isExecutable(join(dir, plugin))));
}

/** What a private containerd is made of. */
export interface ContainerdPrograms {
  readonly containerd: string;
  readonly runc: string;
  readonly cniBinDir: string;
}

/** Finds containerd, its shim, runc and the CNI plugins. Throws UserError that names all that is missing and how to install it. */
export function findContainerdPrograms(path: string = systemPath(), cniDirs = CNI_DIRS): ContainerdPrograms {
  const containerd = findProgram('containerd', path);
  const shim = findProgram('containerd-shim-runc-v2', path);
  const runc = findProgram('runc', path);
  const cniBinDir = findCniBinDir(cniDirs);
  if (containerd && shim && runc && cniBinDir) return { containerd, runc, cniBinDir };
  const missing: string[] = [];
  const packages: string[] = [];
  const need = (found: unknown, what: string, debianPackage: string): void => {
    if (found) return;
    missing.push(what);
    if (!packages.includes(debianPackage)) packages.push(debianPackage);
  };
  need(containerd, 'containerd', 'containerd');
  need(shim, 'containerd-shim-runc-v2', 'containerd');
  need(runc, 'runc', 'runc');
  need(
    cniBinDir,
    `the CNI plugins ${CNI_PLUGINS.join(', ')} (in ${cniDirs.join(' or ')})`,
    'containernetworking-plugins',
  );
  throw new UserError(`not found on this machine: ${missing.join('; ')}`, {
    hint: `apt-get install -y ${packages.join(' ')}`,
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
