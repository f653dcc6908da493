import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { messageOf } from '../../lib/errors.ts';
import { HttpError } from './http-error.ts';

/** An upgraded connection to the runtime's streaming server. */
export interface SpdyDial {
  readonly socket: Socket;
  /** What the server already sent after its answer. */
  readonly head: Buffer;
  /** The stream protocol it chose of those offered. */
  readonly protocol: string | undefined;
}

/** How much of a refusal's text is passed on. */
const MAX_REFUSAL_BYTES = 4096;

/**
 * Opens a SPDY/3.1 connection to a URL that CRI's Exec, Attach or PortForward gave. Rejects with HttpError: the server's own answer, or
 * 502 when there is none.
 * @param protocols stream protocols to offer, most wanted first
 */
export function dialSpdy(url: string, protocols: readonly string[]): Promise<SpdyDial> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': [...protocols] },
    });
    request.once('upgrade', (response, socket, head) => {
      const protocol = response.headers['x-stream-protocol-version'];
      (socket as Socket).setNoDelay(true);
      resolve({ socket: socket as Socket, head, protocol: Array.isArray(protocol) ? protocol[0] : protocol });
    });
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        const text = Buffer.concat(chunks).subarray(0, MAX_REFUSAL_BYTES).toString().trim();
        reject(new HttpError(response.statusCode ?? 502, text));
      });
    });
    request.once('error', (error) => {
      reject(new HttpError(502, `the runtime's streaming server at ${new URL(url).host}: ${messageOf(error)}`));
    });
    request.end();
  });
}
