/** What the parts of the kubelet ask of each other: narrow, and named after what the asker needs. */
import type { Container, Pod, Probe } from '../api/generated/types.ts';
import type { ContainerConfig, PodSandboxConfig } from '../cri/generated/cri.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus, SandboxRuntimeStatus } from './runtime-status.ts';

/** Facts about the node that configs and statuses need. */
export interface NodeSettings {
  readonly nodeName: string;
  /** The node's address, as it is when read; status.hostIP. */
  readonly hostIP: string;
  readonly podsDir: string;
  readonly podLogsDir: string;
  /** Parent of the pods' cgroups (cgroupfs driver): `/kubelette/ID`. */
  readonly cgroupParent: string;
  /** The file that dnsPolicy Default copies. */
  readonly resolvConf: string;
  /** Addresses of the cluster's DNS; while there is none, dnsPolicy ClusterFirst is as Default. */
  readonly clusterDNS: readonly string[];
  /** Such as `cluster.local`. */
  readonly clusterDomain: string;
  readonly memoryCapacityBytes: number;
}

/** Waiting reasons, a closed set. */
export type WaitingReason =
  | 'ContainerCreating'
  | 'PodInitializing'
  | 'CrashLoopBackOff'
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'ImageInspectError'
  | 'InvalidImageName'
  | 'RegistryUnavailable'
  | 'CreateContainerConfigError'
  | 'CreateContainerError'
  | 'RunContainerError'
  | 'PostStartHookError';

/** An outcome as data: either a value, or why the container waits. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: WaitingReason; readonly message: string };

/** Writes core/v1 Events; never throws, never blocks. Repeats of one event raise its count. */
export interface EventRecorder {
  /** @param container name of the container concerned (sets involvedObject.fieldPath) */
  event(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void;
}

export type ProbeType = 'liveness' | 'readiness' | 'startup';
/** What stands after thresholds. `unknown`: no verdict yet. */
export type ProbeVerdict = 'success' | 'failure' | 'unknown';

/** One probe attempt, as it is kept and shown. */
export interface ProbeResult {
  /** Wall time of its start, ms since the epoch. */
  readonly at: number;
  readonly latencyMs: number;
  /** `warning`: succeeded with a remark. `unknown`: the prober itself failed or was late; counts for nothing. */
  readonly outcome: 'success' | 'warning' | 'failure' | 'unknown';
  /** Bounded. */
  readonly output: string;
}

export interface ProbeRecord {
  readonly container: string;
  readonly containerId: string;
  readonly type: ProbeType;
  readonly probe: Probe;
  readonly verdict: ProbeVerdict;
  /** How many results in a row speak against (or, after a failure, for) the verdict that stands. */
  readonly consecutive: number;
  /** Wall time of the next check, ms since the epoch; undefined when at rest. */
  readonly nextAt: number | undefined;
  /** Newest first, bounded. */
  readonly results: readonly ProbeResult[];
}

export interface ProbeManager {
  /**
   * Level-triggered: makes the probes of `pod` match its spec and its running containers. A `terminating` pod keeps readiness
   * only. Called by the pod worker after every observation; cheap when nothing changed.
   */
  syncPod(pod: Pod, status: PodRuntimeStatus, terminating: boolean): void;
  removePod(podUID: string): void;
  /** The verdict for this very container instance. Without such a probe: `success`. */
  verdict(podUID: string, containerId: string, type: ProbeType): ProbeVerdict;
  /** The last results that led to a liveness or startup failure, oldest first, for the kill's reason. */
  records(podUID: string): ProbeRecord[];
}

export interface ImageManager {
  /** Makes sure the container's image is there, by its pull policy; records the events; keeps the pull back-off. */
  ensureImage(
    pod: Pod,
    container: Container,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<Outcome<{ imageRef: string }>>;
  /** When the back-off of a failed pull ends: monotonic ms, or undefined. */
  retryAt(pod: Pod, container: Container): number | undefined;
  /** The runtime no longer has this image, though it had: to be called when creating a container fails with NOT_FOUND. */
  forget(image: string): void;
}

/** Host paths by volume name. */
export type MountedVolumes = ReadonlyMap<string, { readonly hostPath: string; readonly readOnly: boolean }>;

export interface VolumeManager {
  /** Idempotent. On failure says for each volume why, in the kubelet's words; what could be mounted stays. */
  setUp(
    pod: Pod,
    signal: AbortSignal,
  ): Promise<
    | { readonly ok: true; readonly volumes: MountedVolumes }
    | { readonly ok: false; readonly failures: readonly { readonly volume: string; readonly message: string }[] }
  >;
  /** Unmounts and deletes everything under the pod's directory; idempotent; follows no link out of it. */
  tearDown(podUID: string): Promise<void>;
  /** UIDs of the pods that have something on disk. */
  listPodUIDs(): Promise<string[]>;
}

/** What a container's environment is made of. */
export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  /** The pod's addresses (status.podIPs), or the node's with hostNetwork; undefined when they are not known yet and nobody reads them. */
  readonly podIPs: readonly string[] | undefined;
}

export interface ContainerConfigInput extends EnvironmentInput {
  readonly restartCount: number;
  readonly imageRef: string;
  readonly volumes: MountedVolumes;
}

export interface ContainerConfigFactory {
  sandboxConfig(pod: Pod, attempt: number): Promise<PodSandboxConfig>;
  /** Everything of the container's config: command, env, mounts, resources, security context, labels, log path. */
  containerConfig(input: ContainerConfigInput): Promise<Outcome<ContainerConfig>>;
  /** Puts the addresses into the pod's hosts file, for a container whose config was made before they were known. Throws. */
  writeHosts(pod: Pod, podIPs: readonly string[]): void;
  /** The environment that the container's config would have now; undefined when it could have no config now. */
  environment(input: EnvironmentInput): Promise<ReadonlyMap<string, string> | undefined>;
}

/** What pods have of the node's CPU and memory against each other. Never throws. */
export interface PodCgroups {
  /** For a pod whose sandbox was just made. */
  set(pod: Pod): void;
  /** For what is left when a pod has gone. */
  balance(): void;
}

/** Runs lifecycle hooks. */
export interface HookRunner {
  /** Rejects with the message that the event FailedPostStartHook / FailedPreStopHook shows. Aborting stops waiting. */
  run(
    pod: Pod,
    container: Container,
    containerId: string,
    hook: 'postStart' | 'preStop',
    podIP: string | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}

/** hostPort rules of pods; the rules of one pod are replaced or removed as a whole. */
export interface HostPortManager {
  set(pod: Pod, sandbox: SandboxRuntimeStatus): Promise<void>;
  remove(podUID: string): Promise<void>;
  /** Removes what is left of every pod that is not among these: for the start. */
  retain(podUIDs: { has(podUID: string): boolean }): Promise<void>;
}

/** Deletes finished containers and logs that nobody needs. */
export interface ContainerGC {
  /** Keeps the newest dead instance per container (its log serves `logs --previous`). */
  collect(pod: Pod, status: PodRuntimeStatus): Promise<void>;
  /** Everything of a pod: logs and directories, after its sandboxes are gone. */
  removePod(pod: { readonly podUID: string; readonly namespace: string; readonly name: string }): Promise<void>;
  /** As `removePod`, of every pod that is not among these: for the start. */
  retain(podUIDs: { has(podUID: string): boolean }): Promise<void>;
}

/** Read access for the kubelet's HTTPS server and for tests. */
export interface PodLookup {
  /** The pod as the kubelet knows it, with its newest status. */
  pod(namespace: string, name: string): Pod | undefined;
  pods(): Pod[];
  /** The newest instance (or, with `previous`, the one before) of a container. */
  container(podUID: string, name: string, previous: boolean): ContainerRuntimeStatus | undefined;
  /** The ready sandbox's id. */
  sandboxId(podUID: string): string | undefined;
  /** Host path of a CRI log file that outlived its container (finished init containers), or undefined. */
  logPath(podUID: string, container: string, previous: boolean): string | undefined;
}
