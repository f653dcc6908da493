import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** Longer than any call takes that starts something. */
const LINGER_SECONDS = 2;
/** Standard input tells of us: a line when the connection is not needed any more, its end when we died. */
const WAIT = `read -r _ || sleep ${LINGER_SECONDS}`;

/**
 * Keeps a connection open for a moment after our own death. containerd gives up a call when its caller's connection breaks, and kills
 * the container that it was just starting; while another process has the same socket open it does not notice, and finishes the call.
 * @param socket connected
 * @returns lets go of it
 */
export function lingerOn(socket: Socket, what: string): () => void {
  // By its number, since Node stops reading from a stream that a child gets.
  const fd = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return () => {};
  let child: ChildProcess;
  try {
    child = spawn('sh', ['-c', WAIT, 'kubelette-lingers', what], {
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
  return () => void stdin?.end('\n');
}
