/**
 * What the runtime reports of one pod, in the kubelet's own terms. Made by the PLEG from CRI answers (and from exit events, which
 * come first); read by compute-pod-actions, generate-pod-status, the prober and the garbage collector.
 */
export interface PodRuntimeStatus {
  readonly podUID: string;
  readonly namespace: string;
  readonly name: string;
  /** Newest first. */
  readonly sandboxes: readonly SandboxRuntimeStatus[];
  /** All containers of all sandboxes, newest first. */
  readonly containers: readonly ContainerRuntimeStatus[];
}

export interface SandboxRuntimeStatus {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  /** Wall time, ms since the epoch. */
  readonly createdAt: number;
  /** Empty with hostNetwork. */
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
}

export type ContainerRuntimeState = 'created' | 'running' | 'exited' | 'unknown';

export interface ContainerRuntimeStatus {
  /** The runtime's id, without `containerd://`. */
  readonly id: string;
  readonly name: string;
  readonly sandboxId: string;
  readonly state: ContainerRuntimeState;
  /** How often it had been restarted before this instance; the status's restartCount. */
  readonly restartCount: number;
  /** Hash of the container's definition when it was created. */
  readonly hash: string;
  /** Wall times, ms since the epoch; 0 when it has not happened. */
  readonly createdAt: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled`, `StartError`, ... as CRI says; '' while it runs. */
  readonly reason: string;
  /** The runtime's own message (a start error), or the termination message once it exited. */
  readonly message: string;
  /** As status.containerStatuses[].image and .imageID show them. */
  readonly image: string;
  readonly imageRef: string;
  readonly logPath: string;
}

/** Labels and annotations on sandboxes and containers by which a restarted agent finds what is its own. Upstream's names. */
export const LABELS = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUID: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;
export const ANNOTATIONS = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  terminationMessagePath: 'io.kubernetes.container.terminationMessagePath',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  /** The container's spec and the pod's grace period as JSON, so that a pod whose object is gone is still stopped as it asked. */
  podTerminationGracePeriod: 'io.kubernetes.pod.terminationGracePeriod',
  preStop: 'io.kubernetes.container.preStopHandler',
} as const;
