import { ENDPOINTSLICES, type KubeObject, NAMESPACES, PODS, type Resource, SERVICES } from '../api/resources.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { watchedState } from './cluster-state.ts';
import { startDnsServer } from './dns-server.ts';
import { networkExchange } from './exchange.ts';
import { Forwarder } from './forwarder.ts';
import { hostResolvers } from './host-resolvers.ts';
import { Resolver } from './resolver.ts';

export interface ClusterDnsOptions {
  readonly client: KubeClient;
  /** One of the host's own; the server listens there, over UDP and TCP. */
  readonly address: string;
  readonly port: number;
  /** Such as `cluster.local`. */
  readonly domain: string;
  /** Names the servers that are asked for everything outside the cluster. */
  readonly resolvConf: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * The cluster's DNS: answers for Services and pods as the API server has them, and passes everything else on to the host's resolvers.
 * Resolves once it answers and knows the cluster. @throws the system's error when it cannot listen
 */
export async function startClusterDns(options: ClusterDnsOptions): Promise<{ close(): Promise<void> }> {
  const { client, address, clock, random, logger } = options;
  const informer = <T extends KubeObject>(resource: Resource<T>): Informer<T> =>
    new Informer({ client, resource, clock, logger });
  const informers = {
    namespaces: informer(NAMESPACES),
    services: informer(SERVICES),
    endpointSlices: informer(ENDPOINTSLICES),
    pods: informer(PODS),
  };
  const forwarder = new Forwarder({
    servers: hostResolvers(options.resolvConf, address, logger),
    exchange: networkExchange(),
    clock,
    random,
    logger,
  });
  const resolver = new Resolver({
    zone: { domain: options.domain, serverAddress: address },
    state: watchedState(informers),
    forward: (question, wanted) => forwarder.resolve(question, wanted),
    random,
  });
  const server = await startDnsServer({
    address,
    port: options.port,
    answer: (query) => resolver.answer(query),
    clock,
    logger,
  });
  const running = new AbortController();
  const runs = Object.values(informers).map((each) => each.run(running.signal));
  await Promise.all(Object.values(informers).map((each) => each.synced));
  return {
    close: async () => {
      running.abort();
      await Promise.all([...runs, server.close()]);
    },
  };
}
