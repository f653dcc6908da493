import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { identifyProcess, type ProcessIdentity } from '../lib/process-identity.ts';
import { systemEnvironment } from './host-programs.ts';

const run = promisify(execFile);

/** Number of the capability without which no oom_score_adj may be lowered (linux/capability.h). */
export const CAP_SYS_RESOURCE = 24;

/** Whether this process has a capability, by its number. */
export function hasCapability(capability: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> BigInt(capability)) & 1n) === 1n;
}

/** Whether overlayfs can be mounted with its upper directory under `dir`: found out by doing it. */
export async function overlayWorks(dir: string): Promise<boolean> {
  const probe = await mkdtemp(join(dir, '.overlay-probe-'));
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(probe, name));
  const options = { env: systemEnvironment() };
  try {
    for (const path of [lower, upper, work, merged]) await mkdir(path!);
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    await run('mount', ['-t', 'overlay', 'overlay', '-o', layers, merged!], options);
    await run('umount', [merged!], options);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/** The processes whose command line satisfies `test`. */
export function findProcesses(test: (command: readonly string[]) => boolean): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => test(commandOf(pid)))
    .map((pid) => identifyProcess(Number(pid)))
    .filter((found) => found !== undefined);
}

function commandOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
