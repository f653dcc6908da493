import type { Node, NodeCondition, NodeStatus } from '../../api/generated/types.ts';
import { formatTime } from '../../api/time.ts';

/** What does not change while the agent runs, but for the host's address. */
export interface NodeFacts {
  readonly nodeName: string;
  /** As it is when read. */
  readonly hostIP: string;
  readonly hostname: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
  readonly maxPods: number;
  /** Port of the kubelet's HTTPS server. */
  readonly kubeletPort: number;
  /** `v1.36.2`: the version whose behaviour this is. */
  readonly kubeletVersion: string;
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** Whether the kernel confines by AppArmor. */
  readonly hasAppArmor: boolean;
  /** `amd64`, `arm64`: Go's names. */
  readonly architecture: string;
  readonly podCIDR?: string | undefined;
}

/** What the runtime says of itself. */
export interface RuntimeHealth {
  /** `containerd://1.6.20`. */
  readonly version: string;
  /** Why it is not ready, in the kubelet's words; undefined when it is. */
  readonly problem: string | undefined;
}

/** The Node object as this kubelet registers it. Pure. */
export function generateNode(facts: NodeFacts): Node {
  const labels = {
    'beta.kubernetes.io/arch': facts.architecture,
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': facts.architecture,
    'kubernetes.io/hostname': facts.hostname,
    'kubernetes.io/os': 'linux',
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: facts.nodeName, labels },
    spec: facts.podCIDR ? { podCIDR: facts.podCIDR, podCIDRs: [facts.podCIDR] } : {},
  };
}

/** The status of the node. Conditions whose status is as before keep their lastTransitionTime. Pure. Source: `pkg/kubelet/nodestatus/setters.go`. */
export function generateNodeStatus(
  facts: NodeFacts,
  health: RuntimeHealth,
  previous: NodeStatus | undefined,
  now: number,
): NodeStatus {
  const capacity = {
    cpu: String(facts.cpus),
    'ephemeral-storage': `${Math.floor(facts.ephemeralStorageBytes / 1024)}Ki`,
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(facts.maxPods),
  };
  const conditions: Omit<NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'>[] = [
    pressure('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    pressure('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    pressure('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    health.problem === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: health.problem },
  ];
  const time = formatTime(now);
  return {
    ...previous,
    capacity,
    allocatable: capacity,
    addresses: [
      { type: 'InternalIP', address: facts.hostIP },
      { type: 'Hostname', address: facts.hostname },
    ],
    conditions: conditions.map((c) => {
      const old = previous?.conditions?.find((o) => o.type === c.type);
      const lastTransitionTime = old?.status === c.status ? (old.lastTransitionTime ?? time) : time;
      return { ...c, lastHeartbeatTime: time, lastTransitionTime };
    }),
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort } },
    nodeInfo: {
      architecture: facts.architecture,
      bootID: facts.bootID,
      containerRuntimeVersion: health.version,
      kernelVersion: facts.kernelVersion,
      kubeProxyVersion: '',
      kubeletVersion: facts.kubeletVersion,
      machineID: facts.machineID,
      operatingSystem: 'linux',
      osImage: facts.osImage,
      systemUUID: facts.systemUUID,
    },
  };
}

function pressure(type: string, reason: string, message: string) {
  return { type, status: 'False', reason, message };
}
