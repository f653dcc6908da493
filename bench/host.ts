/** What this machine is, and what processes use of it. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** USER_HZ, the unit of times in /proc, is 100 on every architecture that we run on. */
const TICKS_PER_SECOND = 100;

/** One line: processor, cores, memory, kernel, containerd, Node. */
export function machine(): string {
  const [cpu] = cpus();
  const version = spawnSync('containerd', ['--version'], { encoding: 'utf8' }).stdout.split(' ')[2];
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory}, Linux ${release()}, containerd ${version}, Node ${process.version}`;
}

/** Resident memory of these processes together, MB (10^6 bytes). */
export function residentMB(pids: readonly number[]): number {
  const kib = pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
  return (kib.reduce((a, b) => a + b, 0) * 1024) / 1e6;
}

/** How much of a core these processes use together during the next `seconds`. */
export async function coresUsed(pids: readonly number[], seconds: number): Promise<number> {
  const [before, begun] = [pids.map(cpuSeconds), performance.now()];
  await delay(seconds * 1000);
  const used = pids.map((pid, i) => cpuSecondsOr(before[i]!, pid) - before[i]!);
  return used.reduce((a, b) => a + b, 0) / ((performance.now() - begun) / 1000);
}

/** A process and all that it has started and that those have; what has `except` in its command is left out, with all below it. */
export function processTree(pid: number, except: string): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => isChild(child, pid, except));
  return [pid, ...children.flatMap((child) => processTree(child, except))];
}

function isChild(pid: number, parent: number, except: string): boolean {
  try {
    return statOf(pid)[1] === String(parent) && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(except);
  } catch {
    return false; // it has ended
  }
}

function cpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Of a helper that has ended meanwhile, as far as is known. */
function cpuSecondsOr(known: number, pid: number): number {
  try {
    return cpuSeconds(pid);
  } catch {
    return known;
  }
}

/** /proc/PID/stat from its third field on. The second may hold anything. */
function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
