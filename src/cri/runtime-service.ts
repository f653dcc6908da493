import type {
  AttachRequest,
  Container,
  ContainerConfig,
  ContainerFilter,
  ContainerStats,
  ContainerStatsFilter,
  ContainerStatus,
  ExecRequest,
  FilesystemUsage,
  Image,
  LinuxContainerResources,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxFilter,
  PodSandboxStatus,
  PortForwardRequest,
  RuntimeCondition,
  VersionResponse,
} from './generated/cri.ts';

/**
 * Something that happened to a container, told by the runtime as it happens. Level-triggered consumers may lose any of them:
 * an event only says where to look, except that `containerExited` carries the exit code up to 70 ms before a status call does.
 * `containerId` may also be a sandbox's: its own process started or exited.
 */
export type RuntimeEvent =
  | { type: 'containerStarted'; containerId: string }
  | {
      type: 'containerExited';
      containerId: string;
      exitCode: number /** Wall time, ns since the epoch. */;
      exitedAt: bigint;
    }
  | { type: 'containerOOM'; containerId: string }
  /** The stream began or began again: anything may have happened before. */
  | { type: 'resync' };

export interface ExecSyncResult {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitCode: number;
}

export interface CallOptions {
  /** Cancels the call on our side; what the runtime already began may still finish. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the call fails with `DEADLINE_EXCEEDED`. Each method has a sensible default. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The CRI RuntimeService as the kubelet needs it. Every method rejects with `CriError`; stop and remove of something that is gone
 * succeed, as CRI demands. Times are ns since the epoch; durations are seconds where CRI says so.
 * Implementations: gRPC client, fake, simulator; `runtime-service.case.ts` runs on all of them.
 */
export interface RuntimeService {
  version(options?: CallOptions): Promise<VersionResponse>;
  /** The conditions RuntimeReady and NetworkReady. */
  status(options?: CallOptions): Promise<RuntimeCondition[]>;

  /** Resolves with the sandbox's id once it is ready, its network included. */
  runPodSandbox(config: PodSandboxConfig, runtimeHandler: string, options?: CallOptions): Promise<string>;
  /** Kills what runs in it and releases its network; idempotent. */
  stopPodSandbox(id: string, options?: CallOptions): Promise<void>;
  /** Removes it with all its containers; idempotent. */
  removePodSandbox(id: string, options?: CallOptions): Promise<void>;
  podSandboxStatus(id: string, options?: CallOptions): Promise<PodSandboxStatus>;
  listPodSandbox(filter?: Partial<PodSandboxFilter>, options?: CallOptions): Promise<PodSandbox[]>;

  /** Resolves with the container's id. The container is CREATED: it has a process only after `startContainer`. */
  createContainer(
    sandboxId: string,
    config: ContainerConfig,
    sandboxConfig: PodSandboxConfig,
    options?: CallOptions,
  ): Promise<string>;
  startContainer(id: string, options?: CallOptions): Promise<void>;
  /** SIGTERM (or the image's stop signal), then SIGKILL after `timeoutSeconds`; 0 kills at once. Resolves once it has stopped. */
  stopContainer(id: string, timeoutSeconds: number, options?: CallOptions): Promise<void>;
  removeContainer(id: string, options?: CallOptions): Promise<void>;
  listContainers(filter?: Partial<ContainerFilter>, options?: CallOptions): Promise<Container[]>;
  containerStatus(id: string, options?: CallOptions): Promise<ContainerStatus>;
  updateContainerResources(id: string, resources: LinuxContainerResources, options?: CallOptions): Promise<void>;
  reopenContainerLog(id: string, options?: CallOptions): Promise<void>;

  /** Runs a command in the container. `timeoutSeconds` 0 means none; on time-out rejects with code `DEADLINE_EXCEEDED`. */
  execSync(id: string, command: string[], timeoutSeconds: number, options?: CallOptions): Promise<ExecSyncResult>;
  /** Each resolves with the URL of the runtime's streaming server, good for one connection (SPDY/3.1). */
  exec(request: ExecRequest, options?: CallOptions): Promise<string>;
  attach(request: AttachRequest, options?: CallOptions): Promise<string>;
  portForward(request: PortForwardRequest, options?: CallOptions): Promise<string>;

  listContainerStats(filter?: Partial<ContainerStatsFilter>, options?: CallOptions): Promise<ContainerStats[]>;

  /**
   * The runtime's events until the signal aborts (the iteration then ends without an error). Reconnects by itself when the
   * runtime goes away; `resync` comes first and after every reconnection.
   */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}

/** The CRI ImageService as the kubelet needs it. Every method rejects with `CriError`. */
export interface ImageService {
  /** The image, by any reference or id, or undefined when it is not present. */
  imageStatus(image: string, options?: CallOptions): Promise<Image | undefined>;
  /** Resolves with the image's reference (its id), once all of it is present. */
  pullImage(image: string, sandboxConfig: PodSandboxConfig | undefined, options?: CallOptions): Promise<string>;
  listImages(options?: CallOptions): Promise<Image[]>;
  removeImage(image: string, options?: CallOptions): Promise<void>;
  imageFsInfo(options?: CallOptions): Promise<FilesystemUsage[]>;
}
