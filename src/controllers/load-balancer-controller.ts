import { isDeepStrictEqual } from 'node:util';
import type { LoadBalancerStatus, Node, Service } from '../api/generated/types.ts';
import { NODES, SERVICES } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';

export interface LoadBalancerControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What a Service's status should say of its load balancer: where there is one machine, it is the machine. Services that name a class are
 * another's business. Pure.
 */
export function loadBalancerStatus({ spec, status }: Service, nodes: readonly Node[]): LoadBalancerStatus {
  if (spec?.type !== 'LoadBalancer') return {};
  if (spec.loadBalancerClass) return status?.loadBalancer ?? {};
  const addresses = nodes
    .toSorted((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1))
    .flatMap((node) => node.status?.addresses ?? [])
    .filter(({ type, address }) => type === 'InternalIP' && !address.includes(':'));
  return addresses.length > 0 ? { ingress: addresses.map(({ address }) => ({ ip: address, ipMode: 'VIP' })) } : {};
}

/** Gives Services of type LoadBalancer the nodes' addresses, and takes them from those that are none any more. */
export class LoadBalancerController {
  private readonly options: LoadBalancerControllerOptions;
  private readonly services: Informer<Service>;
  private readonly nodes: Informer<Node>;

  constructor(options: LoadBalancerControllerOptions) {
    this.options = options;
    this.services = new Informer({ ...options, resource: SERVICES });
    this.nodes = new Informer({ ...options, resource: NODES });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const all = (): void => {
      for (const service of this.services.list()) void this.sync(service);
    };
    const one = (service: Service): void => void this.sync(service);
    this.nodes.addHandlers({ add: all, update: all, delete: all });
    const nodes = this.nodes.run(signal);
    // Before they are known, addresses would seem to be gone.
    await Promise.race([this.nodes.synced, nodes]);
    this.services.addHandlers({ add: one, update: one });
    await Promise.all([nodes, this.services.run(signal)]);
  }

  private async sync(service: Service): Promise<void> {
    const { client, logger } = this.options;
    const loadBalancer = loadBalancerStatus(service, this.nodes.list());
    if (isDeepStrictEqual(service.status?.loadBalancer ?? {}, loadBalancer)) return;
    const { name, namespace } = service.metadata;
    try {
      await client.update(
        SERVICES,
        { ...service, status: { ...service.status, loadBalancer } },
        { subresource: 'status' },
      );
    } catch (error) {
      // Changed or gone: the informer is about to tell, and we look again.
      if (hasReason(error, 'Conflict') || hasReason(error, 'NotFound')) return;
      logger.warn({ service: `${namespace}/${name}`, error: messageOf(error) }, 'load balancer status not written');
    }
  }
}
