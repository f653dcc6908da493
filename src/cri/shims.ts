import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { type ProcessIdentity, sendSignal } from '../lib/process-identity.ts';
import { findProcesses } from './host-facts.ts';
import type { RuntimeService } from './runtime-service.ts';

const SWEEP_EVERY_MS = 10_000;
/** What CRI keeps its containers in, within containerd. */
export const NAMESPACE = 'k8s.io';
/** Below containerd's state and root directories: a directory for each task. */
export const TASKS = join('io.containerd.runtime.v2.task', NAMESPACE);

/** The shims of one containerd, which outlive it. */
export function findShims(socket: string): ProcessIdentity[] {
  return findProcesses(
    (command) => /(^|\/)containerd-shim/.test(command[0] ?? '') && command[command.indexOf('-address') + 1] === socket,
  );
}

/**
 * Where the shim of a sandbox listens: in a directory that all containerds share, under a hash (containerd runtime/v2/shim,
 * SocketAddress). One that is killed leaves it there.
 * @param socket where its containerd listens
 */
export function shimSocket(socket: string, sandboxId: string): string {
  const hash = createHash('sha256').update(join(socket, NAMESPACE, sandboxId));
  return `/run/containerd/s/${hash.digest('hex')}`;
}

/**
 * Ends shims of which containerd has lost track, because the one before it was killed while it made or removed their sandboxes: nobody
 * else would. Resolves when there are none left from before the present one (those of pods that live on are known), or when the signal
 * aborts. Never rejects.
 */
export async function sweepLostShims(given: {
  readonly containerd: ProcessIdentity;
  readonly socket: string;
  readonly runtime: RuntimeService;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { containerd, socket, runtime, clock, logger, signal } = given;
  for (;;) {
    try {
      await clock.sleep(SWEEP_EVERY_MS, signal);
      const old = findShims(socket).filter((shim) => Number(shim.startTime) <= Number(containerd.startTime));
      if (old.length === 0) return;
      const known = new Set((await runtime.listPodSandbox({}, { signal })).map(({ id }) => id));
      for (const shim of old) {
        const id = sandboxOf(shim);
        if (id === undefined || known.has(id)) continue;
        logger.warn({ pid: shim.pid, sandbox: id }, 'containerd has lost track of a shim; ending it');
        for (const pid of [...childrenOf(shim), shim.pid]) sendSignal(pid, 'SIGKILL');
      }
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      logger.debug({ error: messageOf(error) }, 'shims not compared with sandboxes');
    }
  }
}

/** The sandbox whose containers it holds: `-id` on its command line. */
export function sandboxOf({ pid }: ProcessIdentity): string | undefined {
  const command = read(`/proc/${pid}/cmdline`).split('\0');
  const at = command.indexOf('-id');
  return at < 0 ? undefined : command[at + 1];
}

/** The first processes of its containers. */
function childrenOf({ pid }: ProcessIdentity): number[] {
  return read(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .map(Number)
    .filter((child) => child > 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has just ended
  }
}
