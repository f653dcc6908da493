import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { podCgroup } from '../container/pod-cgroup.ts';

export interface DrainOptions {
  readonly cgroupParent: string;
  readonly podUID: string;
  readonly qosClass: string | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const FIRST_LOOK_AGAIN_MS = 5;
const LAST_LOOK_AGAIN_MS = 50;
/** States in `/proc/net/tcp` (kernel `include/net/tcp_states.h`). */
const LISTEN = '0A';
/** Established, being established, and closed by one side while something may still be on its way. */
const SERVED = new Set(['01', '03', '04', '08']);

/**
 * Resolves once no connection to a port that the pod listens on is under way, so that a pod that no new ones are led to can be
 * stopped without cutting a request short; or after the time-out, since connections may be kept open for hours with nothing on them.
 * The pod must have a network of its own.
 */
export async function drainConnections(options: DrainOptions): Promise<void> {
  const { clock, timeoutMs } = options;
  const deadline = clock.monotonic() + timeoutMs;
  for (let delayMs = FIRST_LOOK_AGAIN_MS; ; delayMs = Math.min(delayMs * 2, LAST_LOOK_AGAIN_MS)) {
    const tables = await socketTables(options);
    if (servedConnections(tables) === 0 || clock.monotonic() + delayMs > deadline) return;
    await clock.sleep(delayMs);
  }
}

/** How many connections there are to ports that are listened on. @param tables texts of `/proc/PID/net/tcp` and `tcp6`. Pure. */
export function servedConnections(tables: readonly string[]): number {
  const byPort = new Map<string, number>();
  const listening = new Set<string>();
  for (const table of tables) {
    // Between other columns: LOCAL-ADDRESS:PORT REMOTE-ADDRESS:PORT STATE, in hexadecimal.
    for (const [, port = '', state = ''] of table.matchAll(
      /: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /g,
    )) {
      if (state === LISTEN) listening.add(port);
      else if (SERVED.has(state)) byPort.set(port, (byPort.get(port) ?? 0) + 1);
    }
  }
  return [...listening].reduce((sum, port) => sum + (byPort.get(port) ?? 0), 0);
}

/** As a process of the pod sees them; none when it has no process. */
async function socketTables({ cgroupParent, podUID, qosClass }: DrainOptions): Promise<string[]> {
  const pid = await anyProcess(podCgroup(cgroupParent, podUID, qosClass));
  if (pid === undefined) return [];
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/net/${file}`, 'latin1').catch(() => '');
  return Promise.all(['tcp', 'tcp6'].map(read));
}

async function anyProcess(cgroup: string, root = '/sys/fs/cgroup'): Promise<string | undefined> {
  const hierarchies = ['', ...(await names(root))];
  for (const hierarchy of hierarchies) {
    const pod = join(root, hierarchy, cgroup);
    for (const container of await names(pod)) {
      const pids = await readFile(join(pod, container, 'cgroup.procs'), 'utf8').catch(() => '');
      const [pid] = pids.split('\n');
      if (pid) return pid;
    }
  }
  return undefined;
}

async function names(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}
