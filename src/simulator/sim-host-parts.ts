import type { Pod } from '../api/generated/types.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import { generateContainerConfig } from '../kubelet/container/generate-container-config.ts';
import { generateSandboxConfig } from '../kubelet/container/generate-sandbox-config.ts';
import { resolveEnv } from '../kubelet/container/resolve-env.ts';
import { selectVictims } from '../kubelet/gc/select-victims.ts';
import type {
  ContainerConfigFactory,
  ContainerGC,
  HostPortManager,
  NodeSettings,
  PodCgroups,
  VolumeManager,
} from '../kubelet/ports.ts';
import { ApiConfigObjects } from '../kubelet/volumes/config-objects.ts';
import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { SimNode } from './sim-node.ts';

/** What touches the host in production, without a host: the same decisions, and marks of what is there instead of files. */
export interface SimHostParts {
  readonly volumes: VolumeManager;
  readonly configs: ContainerConfigFactory;
  readonly gc: ContainerGC;
  readonly cgroups: PodCgroups;
  readonly hostPorts: HostPortManager;
}

export function simHostParts(options: {
  readonly node: SimNode;
  readonly client: KubeClient;
  readonly runtime: RuntimeService;
  readonly clock: Clock;
  readonly settings: NodeSettings;
}): SimHostParts {
  const { node, runtime, clock, settings } = options;
  const { host } = node;
  const objects = new ApiConfigObjects(options.client);
  const capacity = { cpuMillis: 4000, memoryBytes: settings.memoryCapacityBytes, ephemeralStorageBytes: 100 * 2 ** 30 };
  /** Work on a disk takes a moment, in which anything may happen. */
  const moment = (): Promise<void> => clock.sleep(node.draw([0, 3]));
  const environment: ContainerConfigFactory['environment'] = ({ pod, container, podIPs = [] }) => {
    const fields = { nodeName: settings.nodeName, hostIP: settings.hostIP, podIPs };
    return resolveEnv(pod, container, { objects, fields, capacity, serviceEnv: new Map() });
  };
  return {
    volumes: {
      async setUp(pod, signal) {
        const { uid = '', namespace = '' } = pod.metadata;
        await moment();
        signal.throwIfAborted();
        node.useDisk();
        host.volumes.add(uid);
        const failures: { volume: string; message: string }[] = [];
        for (const { name, secret, configMap } of pod.spec.volumes ?? []) {
          try {
            if (secret) await objects.secret(namespace, secret.secretName ?? '', secret.optional ?? false);
            if (configMap) await objects.configMap(namespace, configMap.name ?? '', configMap.optional ?? false);
          } catch (error) {
            const message = `MountVolume.SetUp failed for volume "${name}" : ${messageOf(error)}`;
            failures.push({ volume: name, message });
          }
        }
        if (failures.length > 0) return { ok: false, failures };
        const volumes = (pod.spec.volumes ?? []).map(
          (v) => [v.name, { hostPath: `${settings.podsDir}/${uid}/${v.name}`, readOnly: false }] as const,
        );
        return { ok: true, volumes: new Map(volumes) };
      },
      async tearDown(podUID) {
        await moment();
        host.volumes.delete(podUID);
      },
      listPodUIDs: async () => [...host.volumes],
    },
    configs: {
      async sandboxConfig(pod, attempt) {
        await moment();
        node.useDisk();
        host.logs.add(pod.metadata.uid ?? '');
        return generateSandboxConfig(pod, attempt, settings, { servers: [], searches: [], options: [] });
      },
      async containerConfig({ pod, container, restartCount, imageRef, podIPs }) {
        const { memoryCapacityBytes } = settings;
        try {
          const env = (await environment({ pod, container, podIPs }))!;
          const given = { pod, container, restartCount, imageRef, env, mounts: [], memoryCapacityBytes };
          return { ok: true, value: generateContainerConfig(given) };
        } catch (error) {
          if (isAbort(error)) throw error;
          return { ok: false, reason: 'CreateContainerConfigError', message: messageOf(error) };
        }
      },
      // Hosts files are nothing that the simulator looks at.
      writeHosts() {},
      environment: (input) => environment(input).catch(() => undefined),
    },
    gc: {
      async collect(_pod, status) {
        for (const victim of selectVictims(status)) await runtime.removeContainer(victim.id);
      },
      async removePod({ podUID }) {
        await moment();
        host.logs.delete(podUID);
      },
      async retain(podUIDs) {
        await moment();
        for (const uid of host.logs) if (!podUIDs.has(uid)) host.logs.delete(uid);
      },
    },
    // What a pod has of the CPU is nothing that virtual time shows.
    cgroups: { set() {}, balance() {} },
    hostPorts: {
      async set(pod: Pod) {
        await moment();
        host.hostPorts.add(pod.metadata.uid ?? '');
      },
      async remove(podUID) {
        await moment();
        host.hostPorts.delete(podUID);
      },
      async retain(podUIDs) {
        await moment();
        for (const uid of host.hostPorts) if (!podUIDs.has(uid)) host.hostPorts.delete(uid);
      },
    },
  };
}
