import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Pod } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodLookup } from '../ports.ts';
import { rpcWords } from '../prober/exec-probe.ts';
import { podTrace } from '../trace/pod-trace.ts';
import { HttpError } from './http-error.ts';
import { serveLogs } from './serve-logs.ts';
import type { ServerContext } from './server-context.ts';

export interface KubeletServerOptions extends ServerContext {
  readonly tls: {
    /** PEM. */
    readonly cert: string;
    readonly key: string;
    /** Clients must show a certificate that this authority signed: the API server's. */
    readonly clientCA: string;
  };
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 for any that is free. */
  readonly port: number;
}

/**
 * The kubelet's own API over HTTPS, as the API server uses it: logs, exec, attach, port-forward
 * (kubernetes: pkg/kubelet/server/server.go), and `/probes`, `/pulls` and `/traces`, which are ours. Rejects when the port is taken.
 */
export async function startKubeletServer(
  options: KubeletServerOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { tls, logger } = options;
  const server = createServer(
    { cert: tls.cert, key: tls.key, ca: tls.clientCA, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      handle(options, request, response).catch((error: unknown) => refuse(response, error, request, logger));
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A peer that goes away is seen by whoever reads or writes; this only keeps it from being an uncaught error.
    socket.on('error', () => socket.destroy());
    upgrade(options, request, socket, head).catch((error: unknown) => refuseUpgrade(socket, error, request, logger));
  });
  const sockets = new Set<TLSSocket>();
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host ?? '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function handle(context: ServerContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  authenticate(request);
  const url = new URL(request.url ?? '/', 'https://kubelet');
  const [route, namespace, name, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  switch (route) {
    case 'healthz':
      response.end('ok');
      return;
    case 'pods':
      return json(response, podList(context.lookup.pods()));
    case 'runningpods':
      return json(response, podList(context.lookup.pods().filter((pod) => isRunning(context.lookup, pod))));
    case 'probes':
      return json(response, context.probes.records(findPod(context.lookup, namespace, name).metadata.uid!));
    case 'pulls':
      return json(response, context.pulls.ask() ?? {});
    case 'traces': {
      const pod = findPod(context.lookup, namespace, name);
      const sections = context.traces.sections(pod.metadata.uid!) ?? [];
      return json(response, podTrace(pod, sections));
    }
    case 'containerLogs':
      if (rest.length !== 1) break;
      return await serveLogs(context, findPod(context.lookup, namespace, name), rest[0]!, url.searchParams, response);
    case 'exec':
    case 'attach':
    case 'portForward':
      throw new HttpError(400, 'Upgrade request required');
  }
  throw new HttpError(404, '404 page not found');
}

async function upgrade(context: ServerContext, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  authenticate(request);
  const url = new URL(request.url ?? '/', 'https://kubelet');
  const [route, namespace, name, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  if (route !== 'exec' && route !== 'attach' && route !== 'portForward') {
    throw new HttpError(404, '404 page not found');
  }
  const pod = findPod(context.lookup, namespace, name);
  // The pod's UID may stand before the container.
  const container = route === 'portForward' ? undefined : rest.at(-1);
  // Loaded when somebody wants it: with its library it takes 1 MB.
  const { serveStream } = await import('./serve-stream.ts');
  await serveStream(context, { route, pod, container, query: url.searchParams }, request, socket, head);
}

function authenticate(request: IncomingMessage): void {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) throw new HttpError(401, 'Unauthorized');
}

function findPod(lookup: PodLookup, namespace: string | undefined, name: string | undefined): Pod {
  const pod = namespace && name ? lookup.pod(namespace, name) : undefined;
  if (!pod) throw new HttpError(404, `pod "${name ?? ''}" does not exist`);
  return pod;
}

function isRunning(lookup: PodLookup, pod: Pod): boolean {
  const uid = pod.metadata.uid!;
  return pod.spec.containers.some((c) => lookup.container(uid, c.name, false)?.state === 'running');
}

function podList(pods: readonly Pod[]): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods };
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

/** The status and the one line with which a failed request is answered. Anything unexpected is logged. */
function failureOf(error: unknown, request: IncomingMessage, logger: Logger): { status: number; message: string } {
  if (error instanceof HttpError) return { status: error.status, message: error.message };
  if (error instanceof CriError) {
    return { status: error.code === 'NOT_FOUND' ? 404 : 500, message: rpcWords(error) };
  }
  if (error instanceof URIError) return { status: 400, message: 'malformed path' };
  logger.error({ error: messageOf(error), path: request.url?.split('?')[0] }, 'kubelet API request failed');
  return { status: 500, message: messageOf(error) };
}

function refuse(response: ServerResponse, error: unknown, request: IncomingMessage, logger: Logger): void {
  if (response.headersSent || isAbort(error)) {
    response.destroy();
    return;
  }
  const { status, message } = failureOf(error, request, logger);
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(message);
}

function refuseUpgrade(socket: Duplex, error: unknown, request: IncomingMessage, logger: Logger): void {
  if (isAbort(error)) {
    socket.destroy();
    return;
  }
  const { status, message } = failureOf(error, request, logger);
  const length = Buffer.byteLength(message);
  const head = `HTTP/1.1 ${status} ${status === 404 ? 'Not Found' : 'Error'}\r\ncontent-type: text/plain; charset=utf-8\r\n`;
  socket.end(`${head}content-length: ${length}\r\nconnection: close\r\n\r\n${message}`, () => socket.destroy());
}
