import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import type { Pod } from '../../api/generated/types.ts';
import { HttpError } from './http-error.ts';
import {
  bridgeRemoteCommand,
  REMOTE_COMMAND_PROTOCOL,
  REMOTE_COMMAND_SUBPROTOCOLS,
  type RemoteStreams,
} from './remote-command.ts';
import type { ServerContext } from './server-context.ts';
import { dialSpdy, type SpdyDial } from './spdy-dial.ts';
import { splice } from './splice.ts';

export interface StreamRequest {
  readonly route: 'exec' | 'attach' | 'portForward';
  readonly pod: Pod;
  readonly container: string | undefined;
  readonly query: URLSearchParams;
}

const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';
/** A WebSocket that carries the bytes of a SPDY connection (kubernetes: KEP 4006). */
const TUNNEL_SUBPROTOCOL = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;
const MAX_MESSAGE_BYTES = 16 << 20;
/**
 * What a client has from our closing on to read what is left for it and to answer; the library's 30 s would cut off one that reads
 * slowly (`kubectl exec POD -- cat FILE | less`). One that is gone is noticed by its socket.
 */
const CLOSE_TIMEOUT_MS = 24 * 3600_000;

/**
 * Carries out exec, attach and port-forward: has the runtime open its streaming server for one connection, and joins it with the
 * client's. SPDY goes through byte for byte; a WebSocket is translated. Rejects with HttpError before anything was answered.
 */
export async function serveStream(
  context: ServerContext,
  wanted: StreamRequest,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const kind = request.headers.upgrade?.toLowerCase();
  if (kind !== 'websocket' && kind !== 'spdy/3.1') {
    throw new HttpError(400, `unable to upgrade: ${kind} is neither websocket nor SPDY/3.1`);
  }
  const forwards = wanted.route === 'portForward';
  const subprotocol = kind === 'websocket' ? chooseSubprotocol(request, forwards) : undefined;
  const streams = forwards ? undefined : remoteStreams(wanted.query);
  const url = await openStream(context, wanted, streams);
  const offered =
    kind === 'websocket' ? [forwards ? PORT_FORWARD_PROTOCOL : REMOTE_COMMAND_PROTOCOL] : streamProtocols(request);
  const dial = await dialSpdy(url, offered);
  // However this ends, also in the middle of a handshake, the runtime's side does not outlive the client's.
  socket.once('close', () => dial.socket.destroy());
  if (socket.destroyed) {
    dial.socket.destroy();
    return;
  }
  if (subprotocol === undefined) {
    acceptSpdy(socket, head, dial);
    return;
  }
  const client = await acceptWebSocket(request, socket, head, subprotocol);
  if (streams) {
    bridgeRemoteCommand(client, dial, streams);
  } else {
    if (dial.head.length > 0) dial.socket.unshift(dial.head);
    splice(createWebSocketStream(client), dial.socket);
  }
}

/** Asks the runtime. @returns the URL of its streaming server, good for one connection */
async function openStream(
  context: ServerContext,
  { route, pod, container, query }: StreamRequest,
  streams: RemoteStreams | undefined,
): Promise<string> {
  const podUID = pod.metadata.uid!;
  if (!streams) {
    const sandbox = context.lookup.sandboxId(podUID);
    if (!sandbox) throw new HttpError(500, `pod not found ("${pod.metadata.name}_${pod.metadata.namespace}")`);
    return await context.runtime.portForward({ podSandboxId: sandbox, port: [] });
  }
  const instance = container === undefined ? undefined : context.lookup.container(podUID, container, false);
  if (instance?.state !== 'running') throw new HttpError(500, `container not found ("${container ?? ''}")`);
  if (route === 'attach') return await context.runtime.attach({ containerId: instance.id, ...streams });
  const cmd = query.getAll('command');
  if (cmd.length === 0) throw new HttpError(400, 'you must specify at least one command for the container');
  return await context.runtime.exec({ containerId: instance.id, cmd, ...streams });
}

/** The kubelet calls its streams input, output and error, the API server stdin, stdout and stderr: either will do. */
function remoteStreams(query: URLSearchParams): RemoteStreams {
  const flag = (...names: string[]): boolean => names.some((n) => ['1', 'true'].includes(query.get(n) ?? ''));
  const tty = flag('tty');
  const streams = {
    tty,
    stdin: flag('input', 'stdin'),
    stdout: flag('output', 'stdout'),
    // A terminal has but one output.
    stderr: flag('error', 'stderr') && !tty,
  };
  if (streams.stdin || streams.stdout || streams.stderr) return streams;
  throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
}

function chooseSubprotocol(request: IncomingMessage, forwards: boolean): string {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim());
  const known: readonly string[] = forwards ? [TUNNEL_SUBPROTOCOL] : REMOTE_COMMAND_SUBPROTOCOLS;
  const chosen = known.find((protocol) => offered.includes(protocol));
  if (chosen !== undefined) return chosen;
  throw new HttpError(400, `unable to upgrade: subprotocols offered ${offered.join(', ')}, known ${known.join(', ')}`);
}

function streamProtocols(request: IncomingMessage): string[] {
  const header = request.headers['x-stream-protocol-version'];
  return (Array.isArray(header) ? header : [header ?? '']).flatMap((h) => h.split(',').map((p) => p.trim()));
}

function acceptSpdy(socket: Duplex, head: Buffer, dial: SpdyDial): void {
  const protocol = dial.protocol === undefined ? '' : `X-Stream-Protocol-Version: ${dial.protocol}\r\n`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${protocol}\r\n`);
  if (head.length > 0) dial.socket.write(head);
  if (dial.head.length > 0) socket.write(dial.head);
  splice(socket, dial.socket);
}

function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  subprotocol: string,
): Promise<WebSocket> {
  const options = {
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    // Not among the library's types.
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const server = new WebSocketServer(options);
  // Chosen by us already, and kept from the library: Kubernetes' name for the tunnel has a `/`, which it does not take.
  delete request.headers['sec-websocket-protocol'];
  server.once('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${subprotocol}`));
  return new Promise((resolve, reject) => {
    server.once('wsClientError', (error) => reject(new HttpError(400, error.message)));
    server.handleUpgrade(request, socket, head, resolve);
  });
}
