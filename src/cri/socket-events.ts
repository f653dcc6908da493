import { existsSync, watch } from 'node:fs';
import { connect } from 'node:http2';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { abortReason } from '../lib/errors.ts';

/** Resolves once `path` exists; rejects with an AbortError when the signal aborts first. Its directory must exist. */
export function fileAppears(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal));
    const watcher = watch(dirname(path));
    const finish = (settle: () => void): void => {
      watcher.close();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => reject(abortReason(signal)));
    const look = (): void => {
      if (existsSync(path)) finish(resolve);
    };
    watcher.on('change', look);
    watcher.on('error', (error) => finish(() => reject(error)));
    signal.addEventListener('abort', onAbort, { once: true });
    look();
  });
}

/**
 * Resolves when a connection to the gRPC server on this socket breaks, which is how its death shows at once, or cannot be made at
 * all; also when the signal aborts. An HTTP/2 connection, since a server drops one that says nothing.
 */
export function connectionLost(socketPath: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const session = connect('http://localhost', { createConnection: () => createConnection(socketPath) });
    const onAbort = (): void => session.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    session.on('error', () => {});
    session.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}
