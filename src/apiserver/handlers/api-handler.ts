import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { KUBERNETES_VERSION } from '../../api/kubernetes-version.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { admit } from '../auth/access.ts';
import { methodNotAllowed, noSuchResource } from '../registry/api-errors.ts';
import { aggregatedDiscovery, isKnownGroup, legacyDiscovery } from './discovery.ts';
import { Exchange } from './exchange.ts';
import { refuseUpgrade } from './kubelet-proxy.ts';
import { negotiate } from './negotiate.ts';
import type { PodStreams } from './pod-streams.ts';
import { parseRequest } from './request-info.ts';
import type { ResourceHandler } from './resource-handler.ts';
import { REVIEWS } from './reviews.ts';

const TEXT = 'text/plain; charset=utf-8';
const HEALTH = ['/healthz', '/livez', '/readyz'];
const INDEX = ['/api', '/api/v1', '/apis', ...HEALTH, '/openapi/v2', '/openapi/v3', '/version'].sort();

/** From a connection to whoever answers: who asks, whether he may, what it is about. */
export class ApiHandler {
  private readonly resources: ResourceHandler;
  private readonly streams: PodStreams;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(resources: ResourceHandler, streams: PodStreams, clock: Clock, logger: Logger) {
    this.resources = resources;
    this.streams = streams;
    this.clock = clock;
    this.logger = logger;
  }

  /** Never rejects. */
  readonly request = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const exchange = new Exchange(request, response);
    try {
      await this.route(exchange);
    } catch (error) {
      exchange.sendError(this.toStatus(error, request));
    }
  };

  /** Never throws. */
  readonly upgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    try {
      const url = new URL(request.url ?? '/', 'https://apiserver');
      const info = parseRequest(request.method ?? 'GET', url.pathname, url.searchParams);
      admit(request, info);
      if (!info.isResource) throw noSuchResource();
      this.streams.upgrade(info, url.searchParams, request, socket, head);
    } catch (error) {
      refuseUpgrade(socket, this.toStatus(error, request));
    }
  };

  private async route(exchange: Exchange): Promise<void> {
    const { path, method, query } = exchange;
    const info = parseRequest(method, path, query);
    const user = admit(exchange.request, info);
    if (!info.isResource) return this.routePath(exchange);
    const review = REVIEWS[`${info.group}/${info.plural}`];
    if (review) {
      if (method !== 'POST') throw methodNotAllowed();
      return review(exchange, user, this.clock.now());
    }
    if (!isKnownGroup(path)) return exchange.sendText(404, '404 page not found\n', TEXT);
    return this.streams.serves(info) ? this.streams.handle(exchange, info) : this.resources.handle(exchange, info);
  }

  private async routePath(exchange: Exchange): Promise<void> {
    const path = exchange.path === '/' ? '/' : exchange.path.replace(/\/$/, '');
    const accept = exchange.header('accept');
    if (HEALTH.some((probe) => path === probe || path.startsWith(`${probe}/`)))
      return exchange.sendText(200, 'ok', TEXT);
    if (path === '/version') return exchange.send(200, versionInfo(), negotiate(undefined, 'none'));
    if (path === '/') return exchange.send(200, { paths: INDEX }, negotiate(undefined, 'none'));
    if (path === '/openapi/v2' || path.startsWith('/openapi/v3')) {
      const { serveOpenApi } = await import('./openapi.ts');
      return serveOpenApi(exchange, path);
    }
    if (path === '/api' || path === '/apis') {
      const representation = negotiate(accept, 'discovery');
      if (representation.as) return exchange.send(200, aggregatedDiscovery(path), representation);
    }
    const { localAddress, localPort } = exchange.request.socket;
    const document = legacyDiscovery(path, `${localAddress}:${localPort}`);
    if (document) return exchange.send(200, document, negotiate(accept, 'objects'));
    if (isKnownGroup(path)) throw noSuchResource();
    return exchange.sendText(404, '404 page not found\n', TEXT);
  }

  private toStatus(error: unknown, request: IncomingMessage): ApiStatusError {
    if (error instanceof ApiStatusError) return error;
    const message = messageOf(error);
    if (!isAbort(error) && !request.destroyed) {
      // Not the query: it may hold what a container was told.
      this.logger.error({ error, method: request.method, path: request.url?.split('?')[0] }, 'request failed');
    }
    return new ApiStatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
  }
}

function versionInfo(): object {
  return {
    ...KUBERNETES_VERSION,
    emulationMajor: KUBERNETES_VERSION.major,
    emulationMinor: KUBERNETES_VERSION.minor,
    minCompatibilityMajor: '1',
    minCompatibilityMinor: '35',
    gitCommit: '',
    gitTreeState: '',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: process.version,
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
