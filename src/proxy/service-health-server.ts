import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Service } from '../api/generated/types.ts';
import { referenceTo, SERVICES } from '../api/resources.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { isProxied } from './compute-rules.ts';
import type { ServiceEvents } from './proxier.ts';

export interface ServiceHealthServerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ServiceEvents;
  readonly nodeName: string;
  readonly proxier: {
    /** Whether the kernel has the rules. */
    isHealthy(): boolean;
    /** How many ready endpoints a Service has on this node. @param key `NAMESPACE/NAME` */
    localReadyEndpoints(key: string): number;
  };
}

interface Listening {
  readonly port: number;
  readonly server: Server;
}

/**
 * Answers load balancers at each Service's healthCheckNodePort: 200 when this node has endpoints of it, else 503. A port that cannot be
 * had is told, and tried again when its Service changes. Source: pkg/proxy/healthcheck/service_health.go
 */
export class ServiceHealthServer {
  private readonly options: ServiceHealthServerOptions;
  private readonly services: Informer<Service>;
  private readonly listening = new Map<string, Listening>();

  constructor(options: ServiceHealthServerOptions) {
    this.options = options;
    this.services = new Informer({ ...options, resource: SERVICES });
    const put = (service: Service): void => this.put(service, healthCheckPort(service));
    this.services.addHandlers({ add: put, update: put, delete: (service) => this.put(service, undefined) });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.services.run(signal);
    for (const key of [...this.listening.keys()]) this.close(key);
  }

  private put(service: Service, port: number | undefined): void {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    if (this.listening.get(key)?.port === port) return;
    this.close(key);
    if (port !== undefined) this.listen(key, port, service);
  }

  private listen(key: string, port: number, service: Service): void {
    const server = createServer((_, response) => this.answer(response, service));
    this.listening.set(key, { port, server });
    server.on('error', (error) => {
      if (this.listening.get(key)?.server === server) this.close(key);
      const why =
        errnoOf(error) === 'EADDRINUSE'
          ? `listen tcp4 0.0.0.0:${port}: bind: address already in use`
          : messageOf(error);
      const message = `node ${this.options.nodeName} failed to start healthcheck "${key}" on port ${port}: ${why}`;
      this.options.logger.warn({ service: key, port, error: messageOf(error) }, 'no health checks for load balancers');
      this.options.events.record(referenceTo(SERVICES, service), 'Warning', 'FailedToStartServiceHealthcheck', message);
    });
    server.listen(port, '0.0.0.0').unref();
  }

  private answer(response: ServerResponse, { metadata: { namespace, name } }: Service): void {
    const { proxier } = this.options;
    const localEndpoints = proxier.localReadyEndpoints(`${namespace}/${name}`);
    const serviceProxyHealthy = proxier.isHealthy();
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': `${localEndpoints}`,
    });
    response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }, null, '\t'));
  }

  private close(key: string): void {
    const found = this.listening.get(key);
    this.listening.delete(key);
    found?.server.close();
    found?.server.closeAllConnections();
  }
}

function healthCheckPort(service: Service): number | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort } = service.spec;
  const isWanted = type === 'LoadBalancer' && externalTrafficPolicy === 'Local' && isProxied(service);
  return (isWanted && healthCheckNodePort) || undefined;
}
