import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Status } from '../api/generated/types.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeconfigContext } from '../client/kubeconfig.ts';
import { abortReason, errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { ApiRequest, ApiResponse, ApiSocket } from './context.ts';

/** Sends one request. Rejects with `ApiStatusError` for a Status, and with `UserError` when nobody answers. */
export async function sendRequest(endpoint: KubeconfigContext, request: ApiRequest): Promise<ApiResponse> {
  const { method = 'GET', headers = {}, body, signal } = request;
  const url = urlOf(endpoint, request.path);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return await new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      {
        method,
        headers: { Accept: 'application/json', ...authorization(endpoint), ...headers },
        ...tls(endpoint),
        // One command, few requests: a kept connection would only keep the process alive.
        agent: url.protocol === 'https:' ? new Agent({ keepAlive: false, ...tls(endpoint) }) : undefined,
        ...(signal ? { signal } : {}),
      },
      (response) => {
        const status = response.statusCode ?? 0;
        if (status < 400) return resolve({ status, headers: response.headers, body: response });
        collect(response).then((text) => reject(statusError(status, text)), reject);
      },
    );
    outgoing.on('error', (error) => reject(signal?.aborted ? abortReason(signal) : unreachable(endpoint, error)));
    outgoing.end(body);
  });
}

/** Opens a WebSocket. Rejects as `sendRequest` does when the server refuses the upgrade. */
export async function openSocket(
  endpoint: KubeconfigContext,
  path: string,
  protocols: readonly string[],
): Promise<ApiSocket> {
  const { WebSocket } = await import('ws');
  const url = urlOf(endpoint, path);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, [...protocols], {
    headers: authorization(endpoint),
    perMessageDeflate: false,
    ...tls(endpoint),
  });
  const queue = new MessageQueue(
    () => socket.pause(),
    () => socket.resume(),
  );
  socket.on('message', (data: Buffer) => queue.push(data));
  socket.on('close', () => queue.end());
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('unexpected-response', (_request, response) => {
      collect(response).then((text) => reject(statusError(response.statusCode ?? 500, text)), reject);
    });
    socket.on('error', (error) => {
      reject(unreachable(endpoint, error));
      queue.fail(error);
    });
  });
  return {
    protocol: socket.protocol,
    send: (data) => socket.send(data),
    close: () => socket.close(),
    messages: queue,
  };
}

/** Messages that came and were not read yet. Asks the sender to wait when many are. */
class MessageQueue implements AsyncIterable<Uint8Array> {
  private readonly waiting: Uint8Array[] = [];
  private state: 'open' | 'ended' | Error = 'open';
  private wake: () => void = () => {};
  private readonly pause: () => void;
  private readonly resume: () => void;

  constructor(pause: () => void, resume: () => void) {
    this.pause = pause;
    this.resume = resume;
  }

  push(message: Uint8Array): void {
    this.waiting.push(message);
    if (this.waiting.length === 64) this.pause();
    this.wake();
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended';
    this.wake();
  }

  fail(error: Error): void {
    if (this.state === 'open') this.state = error;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.waiting.shift();
      if (message !== undefined) {
        if (this.waiting.length === 0 && this.state === 'open') this.resume();
        yield message;
      } else if (this.state === 'ended') {
        return;
      } else if (this.state !== 'open') {
        throw this.state;
      } else {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }
}

function urlOf(endpoint: KubeconfigContext, path: string): URL {
  return new URL(`${endpoint.server.replace(/\/+$/, '')}${path}`);
}

function tls({ ca, cert, key, insecure }: KubeconfigContext): object {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
}

function authorization({ token }: KubeconfigContext): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

async function collect(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}

function statusError(code: number, text: string): ApiStatusError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return ApiStatusError.fromStatus({ ...status, code: status.code ?? code });
  } catch {
    // Not a Status: a proxy's or the kubelet's own words.
  }
  return new ApiStatusError(code, '', text.trim() || `the server answered with HTTP ${code}`);
}

function unreachable(endpoint: KubeconfigContext, error: Error): UserError {
  const hint = 'kubelette up --detach starts the node; kubelette doctor looks for what is wrong';
  const why = errnoOf(error) === 'ECONNREFUSED' ? 'nobody listens there' : messageOf(error);
  return new UserError(`the API server at ${endpoint.server} cannot be reached: ${why}`, { hint, cause: error });
}
