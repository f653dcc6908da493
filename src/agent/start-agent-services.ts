import type { ApiServer } from '../apiserver/api-server.ts';
import { AgentServiceController } from '../controllers/agent-service-controller.ts';
import { setUpBridge } from '../kubelet/network/bridge.ts';
import { messageOf } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import type { Logger } from '../lib/logger.ts';
import { type AgentAddresses, apiService, dnsService } from './agent-services.ts';
import type { AgentDeps } from './start-agent.ts';
import { startDns } from './start-dns.ts';

export interface AgentServicesGiven {
  readonly layout: InstanceLayout;
  readonly podCIDR: string;
  readonly addresses: AgentAddresses;
  /** Whether pods are on our bridge. Another runtime's have a network of its own, on which we have no address. */
  readonly hasBridge: boolean;
  readonly resolvConf: string;
  readonly apiServer: Pick<ApiServer, 'client' | 'port' | 'listenAt'>;
  readonly logger: Logger;
}

/**
 * Opens the API server and the cluster's DNS to pods, and nobody else, and keeps the Services `kubernetes` and `kube-dns` that lead to
 * them. What cannot listen is told on the screen, and everything else goes on.
 * @returns the DNS servers for pods
 */
export async function startAgentServices(
  { layout, podCIDR, addresses, hasBridge, resolvConf, apiServer, logger }: AgentServicesGiven,
  deps: AgentDeps,
  started: AsyncDisposableStack,
): Promise<string[]> {
  const { client, port } = apiServer;
  const { clock, onProgress } = deps;
  let gateway: string | undefined;
  let hasDns = false;
  if (hasBridge) {
    await setUpBridge(layout, podCIDR, [addresses.dns]);
    try {
      await apiServer.listenAt(addresses.gateway);
      gateway = addresses.gateway;
    } catch (error) {
      onProgress(`warning: pods cannot reach the API server: ${messageOf(error)}`);
    }
    hasDns = await startDns({ address: addresses.dns, resolvConf, client, logger }, deps, started);
  }
  const services = [apiService(addresses.api, port, gateway), ...(hasDns ? [dnsService(addresses.dns)] : [])];
  const options = { client, clock, logger: logger.child({ component: 'agent-services' }) };
  const controllers = services.map((service) => new AgentServiceController(service, options));
  const stopping = new AbortController();
  const running = controllers.map((controller) => controller.run(stopping.signal));
  started.defer(async () => {
    stopping.abort();
    await Promise.all(running);
  });
  await Promise.all(controllers.map(({ synced }) => synced));
  return hasDns ? [addresses.dns] : [];
}
