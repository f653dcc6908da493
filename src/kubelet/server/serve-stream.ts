import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Pod } from '../../api/generated/types.ts';
import { HttpError } from './http-error.ts';
import type { ServerContext } from './kubelet-server.ts';

export interface StreamRequest {
  readonly route: 'exec' | 'attach' | 'portForward';
  readonly pod: Pod;
  readonly container: string | undefined;
  readonly query: URLSearchParams;
}

export async function serveStream(
  _context: ServerContext,
  _wanted: StreamRequest,
  _request: IncomingMessage,
  _socket: Duplex,
  _head: Buffer,
): Promise<void> {
  throw new HttpError(501, 'not yet');
}
