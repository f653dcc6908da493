import type { Pod } from '../api/generated/types.ts';
import type { ApiServer } from '../apiserver/api-server.ts';
import type { RuntimeConnection } from '../cri/cri-client.ts';
import { PodConfigFactory } from '../kubelet/container/container-config-factory.ts';
import { HostPodCgroups } from '../kubelet/container/host-pod-cgroups.ts';
import { apiLinkedServices } from '../kubelet/container/service-env.ts';
import { ApiEventRecorder } from '../kubelet/events/event-recorder.ts';
import { RuntimeContainerGC } from '../kubelet/gc/container-gc.ts';
import { LogRotation } from '../kubelet/gc/log-rotation.ts';
import { DefaultHookRunner } from '../kubelet/hooks/hook-runner.ts';
import { CriImageManager } from '../kubelet/images/image-manager.ts';
import { PullFeed } from '../kubelet/images/pull-feed.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import { drainConnections } from '../kubelet/network/drain-connections.ts';
import { NftHostPortManager } from '../kubelet/network/host-port-manager.ts';
import type { HostAddress } from '../kubelet/node/host-address.ts';
import { readNodeFacts } from '../kubelet/node/node-facts.ts';
import type { NodeSettings } from '../kubelet/ports.ts';
import { noticeMany } from '../kubelet/prober/many-checks.ts';
import { networkProber } from '../kubelet/prober/network-prober.ts';
import { DefaultProbeManager } from '../kubelet/prober/probe-manager.ts';
import { startKubeletServer } from '../kubelet/server/kubelet-server.ts';
import { ApiConfigObjects } from '../kubelet/volumes/config-objects.ts';
import { HostMounter } from '../kubelet/volumes/mounter.ts';
import { HostVolumeManager } from '../kubelet/volumes/volume-manager.ts';
import { VolumeRefresh } from '../kubelet/volumes/volume-refresh.ts';
import type { Clock } from '../lib/clock.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import { UdpFlows } from '../lib/udp-flows.ts';

export interface KubeletAssembly {
  readonly layout: InstanceLayout;
  readonly nodeName: string;
  readonly hostAddress: HostAddress;
  readonly podCIDR: string;
  readonly resolvConf: string;
  readonly clusterDNS: readonly string[];
  readonly clusterDomain: string;
  readonly maxContainerRestartPeriodSeconds: number;
  readonly maxPods: number;
  /** Where the kubelet's own HTTPS server listens. */
  readonly listenHost: string;
  readonly apiServer: Pick<ApiServer, 'client' | 'ca' | 'issueServingCert'>;
  readonly runtime: RuntimeConnection;
  /** Resolves once no Service leads to a pod that is being deleted, with whether one did. */
  readonly unroute: (pod: Pod) => Promise<boolean>;
  /** Called once, when probes make many checks. */
  readonly onManyChecks: () => void;
  readonly traces: PodTraces;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Puts the kubelet together from its parts, with its server listening. The caller starts it. */
export async function assembleKubelet(given: KubeletAssembly): Promise<{
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when there is a pod to look after for the first time. */
  readonly firstPod: Promise<void>;
  /** Puts the host ports into the instance's table again, which somebody removed and `PodNetwork` made anew. */
  reinstallHostPorts(): Promise<void>;
  stop(): Promise<void>;
}> {
  const { layout, nodeName, hostAddress, clock, traces } = given;
  const { client } = given.apiServer;
  const { runtime, images } = given.runtime;
  const logger = given.logger.child({ component: 'kubelet' });
  let kubelet: Kubelet;

  const recorder = new ApiEventRecorder({ client, clock, logger, nodeName });
  const probes = new DefaultProbeManager({
    clock,
    recorder,
    logger,
    traces,
    get hostIP() {
      return hostAddress.current;
    },
    onVerdict: (podUID) => kubelet.wake(podUID),
    prober: noticeMany(networkProber(clock, runtime), clock, given.onManyChecks),
  });
  const { cert, key } = given.apiServer.issueServingCert(`system:node:${nodeName}`, [nodeName, given.listenHost]);
  const pulls = new PullFeed(given.runtime.watchPull, clock);
  const server = await startKubeletServer({
    // Nobody knows the port before the kubelet, made below, has told it to the API server.
    get lookup() {
      return kubelet;
    },
    runtime,
    probes,
    pulls,
    traces,
    tls: { cert, key, clientCA: given.apiServer.ca },
    host: given.listenHost,
    port: 0,
    clock,
    logger,
  });

  const node = await readNodeFacts({
    nodeName,
    hostAddress,
    kubeletPort: server.port,
    rootDir: layout.rootDir,
    podCIDR: given.podCIDR,
    maxPods: given.maxPods,
  });
  const settings: NodeSettings = {
    nodeName,
    get hostIP() {
      return hostAddress.current;
    },
    podsDir: layout.podsDir,
    podLogsDir: layout.podLogsDir,
    cgroupParent: layout.cgroupParent,
    resolvConf: given.resolvConf,
    clusterDNS: given.clusterDNS,
    clusterDomain: given.clusterDomain,
    memoryCapacityBytes: node.memoryBytes,
  };
  const { cpus, memoryBytes, ephemeralStorageBytes } = node;
  const capacity = { cpuMillis: cpus * 1000, memoryBytes, ephemeralStorageBytes };
  const objects = new ApiConfigObjects(client);
  const mounter = new HostMounter();
  const volumes = new HostVolumeManager({ settings, capacity, objects, mounter, clock });
  const hostPorts = new NftHostPortManager(layout, new UdpFlows(logger));
  kubelet = new Kubelet({
    client,
    runtime,
    images: new CriImageManager({ images, clock, recorder }),
    probes,
    hooks: new DefaultHookRunner({ runtime, clock }),
    volumes,
    configs: new PodConfigFactory({
      settings,
      capacity,
      objects,
      images,
      mounter,
      services: apiLinkedServices(client),
      recorder,
    }),
    cgroups: new HostPodCgroups({ parent: layout.cgroupParent, pods: () => kubelet.activePods(), logger }),
    hostPorts,
    gc: new RuntimeContainerGC({ runtime, settings, clock }),
    recorder,
    traces,
    clock,
    logger,
    settings,
    node,
    owner: layout.id,
    beforeStop: (pod) => unrouteAndDrain(pod, given),
    maxContainerRestartPeriodMs: given.maxContainerRestartPeriodSeconds * 1000,
  });
  const chores = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  return {
    start: async (signal) => {
      await kubelet.start(signal);
      running = Promise.all([
        new LogRotation({ runtime, podLogsDir: layout.podLogsDir, clock, logger }).run(chores.signal),
        new VolumeRefresh({ volumes, pods: () => kubelet.pods(), recorder, clock }).run(chores.signal),
      ]);
    },
    firstPod: kubelet.firstPod,
    reinstallHostPorts: () => hostPorts.reinstall(),
    stop: async () => {
      kubelet.stop();
      pulls.stop();
      chores.abort();
      await Promise.all([running, server.close()]);
    },
  };
}

/** The longest that requests under way may hold up a deletion. */
const MAX_DRAIN_MS = 1000;

/** "Unroute, then signal": a pod that is deleted first leaves its Services, then ends what it is at. */
async function unrouteAndDrain(pod: Pod, { unroute, layout, clock }: KubeletAssembly): Promise<void> {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, uid: podUID = '' } = pod.metadata;
  if (!deletionTimestamp || deletionGracePeriodSeconds === 0) return;
  if (!(await unroute(pod)) || pod.spec.hostNetwork) return;
  const { cgroupParent } = layout;
  const timeoutMs = Math.min(MAX_DRAIN_MS, (deletionGracePeriodSeconds * 1000) / 2);
  await drainConnections({ cgroupParent, podUID, qosClass: pod.status?.qosClass, timeoutMs, clock });
}
