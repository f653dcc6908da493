import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { NODES } from '../api/resources.ts';
import { type ApiServer, startApiServer } from '../apiserver/api-server.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { writeKubeconfig } from '../client/kubeconfig.ts';
import { connectRuntime, type RuntimeConnection } from '../cri/cri-client.ts';
import { ManagedContainerd } from '../cri/managed-containerd.ts';
import type { ShimlessTasks } from '../cri/shimless-tasks.ts';
import { defaultResolvConf } from '../kubelet/container/default-resolv-conf.ts';
import { ApiEventRecorder } from '../kubelet/events/event-recorder.ts';
import { routeServices } from '../kubelet/network/bridge.ts';
import { resolvePodCIDR } from '../kubelet/network/pod-cidr.ts';
import { PodNetwork } from '../kubelet/network/pod-network.ts';
import { routeLocalnet } from '../kubelet/network/route-localnet.ts';
import { resolveServiceCIDR } from '../kubelet/network/service-cidr.ts';
import { watchTable } from '../kubelet/network/watch-table.ts';
import { HostAddress } from '../kubelet/node/host-address.ts';
import type { Clock } from '../lib/clock.ts';
import { abortReason, errnoOf, messageOf, UserError } from '../lib/errors.ts';
import { type InstanceLayout, instanceLayout } from '../lib/instance.ts';
import type { Logger } from '../lib/logger.ts';
import { PodTraces } from '../lib/pod-traces.ts';
import { portsInUse } from '../lib/ports-in-use.ts';
import type { Random } from '../lib/random.ts';
import { UdpFlows } from '../lib/udp-flows.ts';
import { NodePortHolder } from '../proxy/node-port-holder.ts';
import { Proxier } from '../proxy/proxier.ts';
import { ServiceHealthServer } from '../proxy/service-health-server.ts';
import { readAgentFile, removeAgentFile, runningAgent, writeAgentFile } from './agent-file.ts';
import type { AgentOptions } from './agent-options.ts';
import { agentAddresses, apiServerNames, CLUSTER_DOMAIN } from './agent-services.ts';
import { assembleKubelet } from './assemble-kubelet.ts';
import { tryLockInstance } from './instance-lock.ts';
import { diskFull, prepareRootDir } from './prepare-root-dir.ts';
import { startAgentServices } from './start-agent-services.ts';
import { startControllers } from './start-controllers.ts';
import { removeHostState } from './stop-instance.ts';

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** @param path the log file */
  readonly logger: (path: string) => Logger;
  /** Gives up starting; what was started is stopped again. */
  readonly signal: AbortSignal;
  /** Told of each step, for the screen. */
  readonly onProgress: (text: string) => void;
  /** Called once, when the agent's probes make many checks: it is busy enough for code that is fast and large. */
  readonly onManyChecks?: () => void;
}

/** A node that is Ready. */
export interface RunningAgent {
  readonly layout: InstanceLayout;
  readonly nodeName: string;
  /** URL of the API server. */
  readonly server: string;
  readonly podCIDR: string;
  /** In process. */
  readonly client: KubeClient;
  readonly admin: ApiServer['admin'];
  /** Ends the agent. Containers, and containerd, live on; the next agent of this root directory adopts them. */
  stop(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

/**
 * Starts an agent: the API server, a private containerd (unless another runtime is named), the pods' network and the kubelet.
 * Resolves once the node is Ready.
 * @throws UserError for everything that the user can mend; nothing is left half done then, and what ran before still runs
 */
export async function startAgent(options: AgentOptions, deps: AgentDeps): Promise<RunningAgent> {
  const { clock, random, signal } = deps;
  requireRoot();
  const layout = instanceLayout(options.rootDir);
  const resolvConf = options.resolvConf ?? defaultResolvConf();
  if (options.resolvConf !== undefined && !existsSync(options.resolvConf)) {
    throw new UserError(`--resolv-conf: there is no file ${options.resolvConf}`);
  }
  const podCIDR = resolvePodCIDR(layout, options.podCIDR ?? readAgentFile(layout)?.podCIDR);
  const serviceCIDR = resolveServiceCIDR(layout, podCIDR, options.serviceCIDR);
  const addresses = agentAddresses(podCIDR, serviceCIDR);
  // Another runtime's pods have a network of its own.
  const hasBridge = options.runtimeEndpoint === undefined;
  prepareRootDir(layout);
  let leaveNothing = !existsSync(layout.runDir);
  const lock = tryLockInstance(layout);
  if (!lock) {
    const other = runningAgent(layout);
    throw new UserError(`an agent already runs on ${layout.rootDir}${other ? ` (pid ${other.pid})` : ''}`, {
      hint: `Stop it with: kubelette down --root-dir ${layout.rootDir}`,
    });
  }
  await using started = new AsyncDisposableStack();
  started.defer(async () => {
    if (leaveNothing) await removeHostState(layout, clock, { keepImages: true });
    lock.release();
  });
  const logger = deps.logger(layout.agentLog);
  try {
    const traces = new PodTraces(clock);
    // Binds its port: when that is taken, nothing else has been touched yet.
    const apiServer = await startApiServer({
      database: layout.database,
      pkiDir: layout.pkiDir,
      port: options.port,
      kubeletHost: LOOPBACK,
      serviceCIDR,
      serverNames: apiServerNames(addresses),
      portsInUse,
      clock,
      random,
      logger: logger.child({ component: 'apiserver' }),
      traces,
    });
    started.defer(() => apiServer.close());
    const nodeName = nodeNameOf(hostname());
    startControllers({ client: apiServer.client, nodeName, clock, logger, traces }, started);
    // Each to its end, also when the other fails: what is half started could not be stopped again.
    const [runtime, network] = await Promise.allSettled([
      startRuntime(layout, podCIDR, options, deps, logger, started),
      hasBridge ? setUpNetwork(new PodNetwork(layout, podCIDR, serviceCIDR), deps) : undefined,
    ]);
    if (network.status === 'rejected') throw network.reason;
    if (runtime.status === 'rejected') throw runtime.reason;
    const bridge = hasBridge ? layout.bridge : undefined;
    const proxier = startProxy(layout, bridge, podCIDR, nodeName, apiServer, { clock, logger, traces }, started);
    const own = { layout, podCIDR, addresses, hasBridge, resolvConf, apiServer, logger };
    const clusterDNS = await startAgentServices(own, deps, started);
    if (hasBridge) await routeServices(layout, serviceCIDR);
    const kubelet = await assembleKubelet({
      layout,
      nodeName,
      hostAddress: new HostAddress(clock),
      podCIDR,
      resolvConf,
      clusterDNS,
      clusterDomain: CLUSTER_DOMAIN,
      maxContainerRestartPeriodSeconds: options.maxContainerRestartPeriodSeconds,
      maxPods: options.maxPods,
      listenHost: LOOPBACK,
      apiServer,
      runtime: runtime.value,
      unroute: (pod) => proxier.waitUnrouted(pod),
      onManyChecks: () => deps.onManyChecks?.(),
      traces,
      clock,
      logger,
    });
    started.defer(() => kubelet.stop());
    await kubelet.start(signal);
    if (hasBridge) {
      const watching = new AbortController();
      const { firstPod } = kubelet;
      const watched = watchTable({ table: layout.nftTable, firstPod, clock, signal: watching.signal }, async () => {
        logger.warn({ table: layout.nftTable }, 'somebody removed our nft table: making it anew');
        await new PodNetwork(layout, podCIDR, serviceCIDR).setUp();
        proxier.rebuild('the nft table was removed');
        await kubelet.reinstallHostPorts();
      });
      started.defer(() => {
        watching.abort();
        return watched;
      });
    }
    await nodeReady(apiServer.client, nodeName, signal);
    writeKubeconfig(layout.kubeconfig, apiServer.admin);
    const { runtimeEndpoint } = options;
    writeAgentFile(layout, { server: apiServer.url, nodeName, podCIDR, ...(runtimeEndpoint && { runtimeEndpoint }) });
    started.defer(() => removeAgentFile(layout));
    leaveNothing = false;
    const running = started.move();
    return {
      layout,
      nodeName,
      server: apiServer.url,
      podCIDR,
      client: apiServer.client,
      admin: apiServer.admin,
      stop: () => running.disposeAsync(),
    };
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    if (errnoOf(error) === 'ENOSPC' || /database or disk is full/.test(messageOf(error))) {
      throw diskFull(layout.rootDir, error);
    }
    logger.error({ error: messageOf(error), stack: (error as Error).stack }, 'the agent does not start');
    throw error;
  }
}

async function startRuntime(
  layout: InstanceLayout,
  podCIDR: string,
  options: AgentOptions,
  { clock, signal, onProgress }: AgentDeps,
  logger: Logger,
  started: AsyncDisposableStack,
): Promise<RuntimeConnection> {
  let endpoint = options.runtimeEndpoint;
  let tasks: ShimlessTasks | undefined;
  if (endpoint === undefined) {
    onProgress('starting containerd');
    const { pauseImage, registryMirror } = options;
    const containerd = new ManagedContainerd({ layout, podCIDR, pauseImage, registryMirror, clock, logger });
    await containerd.start(signal);
    ({ endpoint, tasks } = containerd);
    started.defer(() => containerd.detach());
  }
  const connection = connectRuntime({ endpoint, clock, logger, tasks, lingers: true });
  started.defer(() => connection.close());
  if (options.runtimeEndpoint !== undefined) {
    try {
      await connection.runtime.version({ signal, timeoutMs: 5000 });
    } catch (error) {
      throw new UserError(`--runtime-endpoint: no container runtime answers at ${endpoint}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  return connection;
}

/** Services: the kernel's rules for them follow the API server until the agent stops, and stand until `down`. */
function startProxy(
  layout: InstanceLayout,
  bridge: string | undefined,
  podCIDR: string,
  nodeName: string,
  { client }: ApiServer,
  { clock, logger: root, traces }: Pick<AgentDeps, 'clock'> & { logger: Logger; traces: PodTraces },
  started: AsyncDisposableStack,
): Proxier {
  const logger = root.child({ component: 'proxy' });
  const events = new ApiEventRecorder({ client, clock, logger, nodeName, component: 'kube-proxy' });
  const proxier = new Proxier({
    client,
    clock,
    logger,
    events,
    traces,
    layout,
    bridge,
    node: { nodeName, podCIDR },
    routeLocalnet: () => routeLocalnet(layout.bridge),
    udpFlows: new UdpFlows(logger),
  });
  const stopping = new AbortController();
  const holder = new NodePortHolder({ client, clock, logger, events });
  const health = new ServiceHealthServer({ client, clock, logger, events, nodeName, proxier });
  const running = [proxier.run(stopping.signal), holder.run(stopping.signal), health.run(stopping.signal)];
  started.defer(async () => {
    stopping.abort();
    await Promise.all(running);
  });
  return proxier;
}

async function setUpNetwork(network: PodNetwork, { onProgress }: AgentDeps): Promise<void> {
  const warnings = await network.setUp();
  for (const warning of warnings) onProgress(`warning: ${warning}`);
}

function requireRoot(): void {
  if (process.platform !== 'linux') throw new UserError(`pods run on Linux only, and this is ${process.platform}`);
  if (process.geteuid?.() !== 0) {
    throw new UserError('the agent must run as root: it creates namespaces, mounts and network devices', {
      hint: 'Run the same command with sudo.',
    });
  }
}

/** The node's name: the host's, as Kubernetes allows names (a DNS subdomain). */
export function nodeNameOf(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '-')
    .slice(0, 253);
  return name.replace(/^[-.]+|[-.]+$/g, '') || 'localhost';
}

/** Resolves when the node's condition Ready is True. */
async function nodeReady(client: KubeClient, name: string, signal: AbortSignal): Promise<void> {
  const { items, metadata } = await client.list(NODES, { fieldSelector: `metadata.name=${name}` });
  const isReady = (node: (typeof items)[number]): boolean =>
    node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  if (items.some(isReady)) return;
  const events = client.watch(NODES, {
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: metadata.resourceVersion,
    signal,
  });
  for await (const event of events) {
    if (event.type === 'ERROR') break;
    if (isReady(event.object)) return;
  }
  throw signal.aborted ? abortReason(signal) : new UserError(`the node ${name} does not become Ready`);
}
