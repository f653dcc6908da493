import { Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, STATUS_CODES } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import type { Node } from '../../api/generated/types.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import type { KeyPair } from '../auth/certificates.ts';
import type { Exchange } from './exchange.ts';

/** Where a kubelet's HTTPS server listens. */
export interface KubeletLocation {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
}

/** Headers between two neighbours only, and those that are ours to set. */
const NOT_FORWARDED = ['host', 'authorization', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te'];

/**
 * @param kubeletHost where kubelets listen, when that is not their node's address
 * @throws ApiStatusError 500 when the node does not say where its kubelet is
 */
export function locateKubelet(node: Node, kubeletHost?: string): KubeletLocation {
  const addresses = node.status?.addresses ?? [];
  const address =
    addresses.find(({ type }) => type === 'InternalIP') ?? addresses.find(({ type }) => type === 'Hostname');
  const host = kubeletHost ?? address?.address;
  const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port;
  const nodeName = node.metadata.name!;
  if (!host || !port) throw internal(`node ${nodeName} has no address or no kubelet port in its status`);
  return { nodeName, host, port };
}

/** Passes requests on to the kubelet, with the API server's own certificate, and to pods. */
export class KubeletProxy {
  private readonly identity: KeyPair & { readonly ca: string };
  private readonly kubelets: TlsAgent;
  private readonly pods = new Agent({ keepAlive: true, maxFreeSockets: 4 });
  private readonly open = new Set<Duplex>();

  constructor(identity: KeyPair, ca: string) {
    this.identity = { ...identity, ca };
    this.kubelets = new TlsAgent({ ...this.identity, keepAlive: true, maxFreeSockets: 4 });
  }

  /** A request whose answer may be long (logs, metrics). Resolves with the kubelet's answer once its head is there. */
  requestKubelet(location: KubeletLocation, path: string, exchange: Exchange): Promise<IncomingMessage> {
    const { host, port, nodeName } = location;
    const options = { agent: this.kubelets, host, port, servername: nodeName, path };
    return this.dispatch(exchange, (head) => httpsRequest({ ...options, ...head }), `${host}:${port}`);
  }

  requestPod(host: string, port: number, path: string, exchange: Exchange): Promise<IncomingMessage> {
    const options = { agent: this.pods, host, port, path };
    return this.dispatch(exchange, (head) => httpRequest({ ...options, ...head }), `${host}:${port}`);
  }

  private dispatch(
    exchange: Exchange,
    start: (head: { method: string; headers: OutgoingHttpHeaders }) => ReturnType<typeof httpRequest>,
    address: string,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const upstream = start({ method: exchange.method, headers: forwardedHeaders(exchange.request) });
      upstream.on('response', (answer) => {
        resolve(answer);
        answer.on('error', () => exchange.response.destroy());
      });
      upstream.on('upgrade', ({ headers }, socket) => {
        socket.destroy();
        const words = `backend tried to switch protocol ${JSON.stringify(headers.upgrade ?? '')} when "" was requested`;
        reject(internal(`error dialing backend: ${words}`));
      });
      upstream.on('error', (error) => reject(dialError(address, error)));
      exchange.response.on('close', () => upstream.destroy());
      exchange.request.pipe(upstream);
    });
  }

  /** Hands the kubelet's (or pod's) answer through as it is. */
  relay(answer: IncomingMessage, exchange: Exchange): void {
    const { response } = exchange;
    response.statusCode = answer.statusCode ?? 502;
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && !NOT_FORWARDED.includes(name)) response.setHeader(name, value);
    }
    response.flushHeaders();
    answer.pipe(response);
  }

  /**
   * Connects an upgraded connection (SPDY, WebSocket) with the kubelet, byte for byte in both directions; also the kubelet's answer
   * to the upgrade is its own.
   * @param head what the client sent after its request's head
   */
  upgradeToKubelet(
    location: KubeletLocation,
    path: string,
    request: IncomingMessage,
    client: Socket,
    head: Buffer,
  ): void {
    const { host, port, nodeName } = location;
    const kubelet = tlsConnect({ ...this.identity, host, port, servername: nodeName });
    this.open.add(client).add(kubelet);
    let answered = false;
    kubelet.once('data', () => {
      answered = true;
    });
    kubelet.on('secureConnect', () => {
      kubelet.setNoDelay(true);
      client.setNoDelay(true);
      kubelet.write(rawHead(request, path, nodeName));
      kubelet.write(head);
      client.pipe(kubelet);
      kubelet.pipe(client);
    });
    kubelet.on('error', (error) => {
      if (answered) client.destroy();
      else refuseUpgrade(client, dialError(`${host}:${port}`, error));
    });
    client.on('error', () => kubelet.destroy());
    client.on('close', () => {
      this.open.delete(client);
      kubelet.destroy();
    });
    kubelet.on('close', () => {
      this.open.delete(kubelet);
      client.end();
    });
  }

  close(): void {
    this.kubelets.destroy();
    this.pods.destroy();
    for (const socket of this.open) socket.destroy();
  }
}

/** Answers a request for an upgrade without upgrading. */
export function refuseUpgrade(client: Duplex, error: ApiStatusError): void {
  const body = JSON.stringify(error.toStatus());
  client.end(
    `HTTP/1.1 ${error.code} ${STATUS_CODES[error.code] ?? 'Error'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** The request as the client wrote it, for another host and path, and without what only we may see. */
function rawHead(request: IncomingMessage, path: string, host: string): string {
  const lines = [`${request.method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!;
    if (!['host', 'authorization'].includes(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function forwardedHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(request.headers).filter(([name]) => !NOT_FORWARDED.includes(name)));
}

function dialError(address: string, error: Error): ApiStatusError {
  const why = errnoOf(error) === 'ECONNREFUSED' ? 'connect: connection refused' : messageOf(error);
  return internal(`error dialing backend: dial tcp ${address}: ${why}`);
}

function internal(message: string): ApiStatusError {
  return new ApiStatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}
