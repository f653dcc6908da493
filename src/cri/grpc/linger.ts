import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { sendSignal } from '../../lib/process-identity.ts';
import { findProcesses } from '../host-facts.ts';

/** Longer than any call takes that starts something. */
const LINGER_SECONDS = 2;
/** What it is called, for those who look at a list of processes. */
const NAME = 'kubelette-lingers';
/** Standard input tells of us by its end: we died. */
const WAIT = `read -r _ || sleep ${LINGER_SECONDS}`;

/**
 * Keeps a connection open for a moment after our own death. containerd gives up a call when its caller's connection breaks, and kills
 * the container that it was just starting; while another process has the same socket open it does not notice, and finishes the call.
 * @param socket connected
 * @param socketPath whereto
 * @returns lets go of it at once
 */
export function lingerOn(socket: Socket, socketPath: string): () => void {
  // By its number, since Node stops reading from a stream that a child gets.
  const fd = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return () => {};
  let child: ChildProcess;
  try {
    child = spawn('sh', ['-c', WAIT, NAME, socketPath], {
      // Not as one of the first three descriptors: those would be made blocking, for us as well.
      stdio: ['pipe', 'ignore', 'ignore', fd],
      detached: true,
    });
  } catch {
    // The connection broke just now.
    return () => {};
  }
  const { stdin } = child;
  // Without it everything works as well, but for that.
  child.on('error', () => {});
  stdin?.on('error', () => {});
  child.unref();
  (stdin as Socket | null)?.unref();
  return () => void child.kill('SIGKILL');
}

/** Ends at once what lingers on a socket after the death of the process that called there. */
export function endLingering(socketPath: string): void {
  const lingering = findProcesses(([, , wait, name, path]) => wait === WAIT && name === NAME && path === socketPath);
  // The group: it may be asleep in a process of its own.
  for (const { pid } of lingering) sendSignal(-pid, 'SIGKILL');
}
