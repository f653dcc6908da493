import type { Clock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { CALL_TIMEOUT_MS, LOOKUP_TIMEOUT_MS, SANDBOX_TIMEOUT_MS } from './call-timeouts.ts';
import { CriError } from './cri-error.ts';
import * as cri from './generated/cri.ts';
import type { Codec, Rpc } from './grpc/codec.ts';
import { GrpcClient } from './grpc/grpc-client.ts';
import { deleteTask, isTaskEnding, isTaskLost, TASK_ENDS_MS } from './lost-task.ts';
import { type PullProgress, watchContent } from './pull-progress.ts';
import { runtimeEvents } from './runtime-events.ts';
import type { CallOptions, ExecSyncResult, ImageService, RuntimeEvent, RuntimeService } from './runtime-service.ts';
import type { ShimlessTasks } from './shimless-tasks.ts';

/** A connection to a container runtime. */
export interface RuntimeConnection {
  readonly runtime: RuntimeService;
  readonly images: ImageService;
  /**
   * Reports, while a pull runs and until the signal aborts, what has come of all that is being fetched; resolves then. Several pulls
   * at once are told as one sum, since containerd does not say what is fetched for which. Says nothing with other runtimes.
   */
  watchPull(onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void>;
  /** Calls in flight and later ones fail with UNAVAILABLE. */
  close(): void;
}

/**
 * The ports RuntimeService and ImageService over CRI v1. Connects with the first call, and again whenever the connection broke:
 * a call fails at once, with UNAVAILABLE, while the runtime is away.
 * @param endpoint `unix:///run/containerd/containerd.sock`, or only the path
 * @param tasks what to end with a sandbox whose shim was killed. Default: that is the runtime's own concern
 * @param lingers whether calls under way are carried out even if our process is killed. Default: no
 */
export function connectRuntime({
  endpoint,
  clock,
  logger,
  tasks,
  lingers = false,
}: {
  endpoint: string;
  clock: Clock;
  logger: Logger;
  tasks?: ShimlessTasks | undefined;
  lingers?: boolean;
}): RuntimeConnection {
  const grpc = new GrpcClient({ socketPath: socketPathOf(endpoint), clock, lingers });
  return {
    runtime: new CriRuntimeService(grpc, clock, logger, tasks),
    images: new CriImageService(grpc),
    watchPull: (onProgress, signal) => watchContent(grpc, clock, onProgress, signal),
    close: () => grpc.close(),
  };
}

/** The path in a runtime endpoint. Throws UserError for anything but an absolute Unix socket path. */
function socketPathOf(endpoint: string): string {
  const path = endpoint.replace(/^unix:(\/\/)?/, '');
  if (path.startsWith('/')) return path;
  throw new UserError(
    `runtime endpoint ${JSON.stringify(endpoint)}: must be a Unix socket, as unix:///run/containerd/containerd.sock`,
  );
}

const RUNTIME = '/runtime.v1.RuntimeService/';
const IMAGES = '/runtime.v1.ImageService/';

function rpc<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Rpc<Request, Response> {
  return { path, request, response };
}

const RPC = {
  version: rpc(`${RUNTIME}Version`, cri.VersionRequest, cri.VersionResponse),
  status: rpc(`${RUNTIME}Status`, cri.StatusRequest, cri.StatusResponse),
  runPodSandbox: rpc(`${RUNTIME}RunPodSandbox`, cri.RunPodSandboxRequest, cri.RunPodSandboxResponse),
  stopPodSandbox: rpc(`${RUNTIME}StopPodSandbox`, cri.StopPodSandboxRequest, cri.StopPodSandboxResponse),
  removePodSandbox: rpc(`${RUNTIME}RemovePodSandbox`, cri.RemovePodSandboxRequest, cri.RemovePodSandboxResponse),
  podSandboxStatus: rpc(`${RUNTIME}PodSandboxStatus`, cri.PodSandboxStatusRequest, cri.PodSandboxStatusResponse),
  listPodSandbox: rpc(`${RUNTIME}ListPodSandbox`, cri.ListPodSandboxRequest, cri.ListPodSandboxResponse),
  createContainer: rpc(`${RUNTIME}CreateContainer`, cri.CreateContainerRequest, cri.CreateContainerResponse),
  startContainer: rpc(`${RUNTIME}StartContainer`, cri.StartContainerRequest, cri.StartContainerResponse),
  stopContainer: rpc(`${RUNTIME}StopContainer`, cri.StopContainerRequest, cri.StopContainerResponse),
  removeContainer: rpc(`${RUNTIME}RemoveContainer`, cri.RemoveContainerRequest, cri.RemoveContainerResponse),
  listContainers: rpc(`${RUNTIME}ListContainers`, cri.ListContainersRequest, cri.ListContainersResponse),
  containerStatus: rpc(`${RUNTIME}ContainerStatus`, cri.ContainerStatusRequest, cri.ContainerStatusResponse),
  updateContainerResources: rpc(
    `${RUNTIME}UpdateContainerResources`,
    cri.UpdateContainerResourcesRequest,
    cri.UpdateContainerResourcesResponse,
  ),
  reopenContainerLog: rpc(
    `${RUNTIME}ReopenContainerLog`,
    cri.ReopenContainerLogRequest,
    cri.ReopenContainerLogResponse,
  ),
  execSync: rpc(`${RUNTIME}ExecSync`, cri.ExecSyncRequest, cri.ExecSyncResponse),
  exec: rpc(`${RUNTIME}Exec`, cri.ExecRequest, cri.ExecResponse),
  attach: rpc(`${RUNTIME}Attach`, cri.AttachRequest, cri.AttachResponse),
  portForward: rpc(`${RUNTIME}PortForward`, cri.PortForwardRequest, cri.PortForwardResponse),
  listContainerStats: rpc(
    `${RUNTIME}ListContainerStats`,
    cri.ListContainerStatsRequest,
    cri.ListContainerStatsResponse,
  ),
  imageStatus: rpc(`${IMAGES}ImageStatus`, cri.ImageStatusRequest, cri.ImageStatusResponse),
  pullImage: rpc(`${IMAGES}PullImage`, cri.PullImageRequest, cri.PullImageResponse),
  listImages: rpc(`${IMAGES}ListImages`, cri.ListImagesRequest, cri.ListImagesResponse),
  removeImage: rpc(`${IMAGES}RemoveImage`, cri.RemoveImageRequest, cri.RemoveImageResponse),
  imageFsInfo: rpc(`${IMAGES}ImageFsInfo`, cri.ImageFsInfoRequest, cri.ImageFsInfoResponse),
};

function withTimeout(options: CallOptions | undefined, timeoutMs: number | undefined): CallOptions {
  return { signal: options?.signal, timeoutMs: options?.timeoutMs ?? timeoutMs };
}

class CriRuntimeService implements RuntimeService {
  private readonly grpc: GrpcClient;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly tasks: ShimlessTasks | undefined;

  constructor(grpc: GrpcClient, clock: Clock, logger: Logger, tasks: ShimlessTasks | undefined) {
    this.grpc = grpc;
    this.clock = clock;
    this.logger = logger;
    this.tasks = tasks;
  }

  version(options?: CallOptions): Promise<cri.VersionResponse> {
    return this.grpc.unary(RPC.version, { version: 'v1' }, withTimeout(options, LOOKUP_TIMEOUT_MS));
  }

  async status(options?: CallOptions): Promise<cri.RuntimeCondition[]> {
    const { status } = await this.grpc.unary(RPC.status, { verbose: false }, withTimeout(options, LOOKUP_TIMEOUT_MS));
    return status?.conditions ?? [];
  }

  async runPodSandbox(config: cri.PodSandboxConfig, runtimeHandler: string, options?: CallOptions): Promise<string> {
    const request = { config, runtimeHandler };
    try {
      return (await this.grpc.unary(RPC.runPodSandbox, request, withTimeout(options, SANDBOX_TIMEOUT_MS))).podSandboxId;
    } catch (error) {
      this.tasks?.sweepSoon();
      throw error;
    }
  }

  async stopPodSandbox(podSandboxId: string, options?: CallOptions): Promise<void> {
    const given = withTimeout(options, SANDBOX_TIMEOUT_MS);
    const stop = (): Promise<void> => goneIsFine(this.grpc.unary(RPC.stopPodSandbox, { podSandboxId }, given));
    try {
      await stop();
    } catch (error) {
      if (!isTaskEnding(error)) throw error;
      await this.clock.sleep(TASK_ENDS_MS, options?.signal);
      await stop();
    }
    await this.tasks?.end(podSandboxId);
  }

  async removePodSandbox(podSandboxId: string, options?: CallOptions): Promise<void> {
    await goneIsFine(this.grpc.unary(RPC.removePodSandbox, { podSandboxId }, withTimeout(options, CALL_TIMEOUT_MS)));
    this.tasks?.forget(podSandboxId);
  }

  async podSandboxStatus(podSandboxId: string, options?: CallOptions): Promise<cri.PodSandboxStatus> {
    const request = { podSandboxId, verbose: false };
    const { status } = await this.grpc.unary(RPC.podSandboxStatus, request, withTimeout(options, LOOKUP_TIMEOUT_MS));
    if (!status) throw new CriError('INTERNAL', 'PodSandboxStatus', 'the runtime answered without a status');
    return status;
  }

  async listPodSandbox(filter?: Partial<cri.PodSandboxFilter>, options?: CallOptions): Promise<cri.PodSandbox[]> {
    const request = { filter: filter && cri.PodSandboxFilter.fromPartial(filter) };
    return (await this.grpc.unary(RPC.listPodSandbox, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).items;
  }

  async createContainer(
    podSandboxId: string,
    config: cri.ContainerConfig,
    sandboxConfig: cri.PodSandboxConfig,
    options?: CallOptions,
  ): Promise<string> {
    const request = { podSandboxId, config, sandboxConfig };
    return (await this.grpc.unary(RPC.createContainer, request, withTimeout(options, CALL_TIMEOUT_MS))).containerId;
  }

  async startContainer(containerId: string, options?: CallOptions): Promise<void> {
    await this.grpc.unary(RPC.startContainer, { containerId }, withTimeout(options, CALL_TIMEOUT_MS));
  }

  stopContainer(containerId: string, timeoutSeconds: number, options?: CallOptions): Promise<void> {
    const request = { containerId, timeout: BigInt(timeoutSeconds) };
    const timeoutMs = timeoutSeconds * 1000 + CALL_TIMEOUT_MS;
    return goneIsFine(this.grpc.unary(RPC.stopContainer, request, withTimeout(options, timeoutMs)));
  }

  async removeContainer(containerId: string, options?: CallOptions): Promise<void> {
    const given = withTimeout(options, CALL_TIMEOUT_MS);
    const remove = (): Promise<void> => goneIsFine(this.grpc.unary(RPC.removeContainer, { containerId }, given));
    try {
      await remove();
    } catch (error) {
      if (!isTaskLost(error)) throw error;
      await deleteTask(this.grpc, containerId, given);
      await remove();
    }
  }

  async listContainers(filter?: Partial<cri.ContainerFilter>, options?: CallOptions): Promise<cri.Container[]> {
    const request = { filter: filter && cri.ContainerFilter.fromPartial(filter) };
    return (await this.grpc.unary(RPC.listContainers, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).containers;
  }

  async containerStatus(containerId: string, options?: CallOptions): Promise<cri.ContainerStatus> {
    const request = { containerId, verbose: false };
    const { status } = await this.grpc.unary(RPC.containerStatus, request, withTimeout(options, LOOKUP_TIMEOUT_MS));
    if (!status) throw new CriError('INTERNAL', 'ContainerStatus', 'the runtime answered without a status');
    return status;
  }

  async updateContainerResources(
    containerId: string,
    linux: cri.LinuxContainerResources,
    options?: CallOptions,
  ): Promise<void> {
    const request = { containerId, linux };
    await this.grpc.unary(RPC.updateContainerResources, request, withTimeout(options, CALL_TIMEOUT_MS));
  }

  async reopenContainerLog(containerId: string, options?: CallOptions): Promise<void> {
    await this.grpc.unary(RPC.reopenContainerLog, { containerId }, withTimeout(options, CALL_TIMEOUT_MS));
  }

  execSync(
    containerId: string,
    command: string[],
    timeoutSeconds: number,
    options?: CallOptions,
  ): Promise<ExecSyncResult> {
    // The runtime enforces the time-out itself, since only it can kill the process; ours is for a runtime that does not answer.
    const timeoutMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 + CALL_TIMEOUT_MS : undefined;
    const request = { containerId, cmd: command, timeout: BigInt(timeoutSeconds) };
    return this.grpc.unary(RPC.execSync, request, withTimeout(options, timeoutMs));
  }

  async exec(request: cri.ExecRequest, options?: CallOptions): Promise<string> {
    return (await this.grpc.unary(RPC.exec, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).url;
  }

  async attach(request: cri.AttachRequest, options?: CallOptions): Promise<string> {
    return (await this.grpc.unary(RPC.attach, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).url;
  }

  async portForward(request: cri.PortForwardRequest, options?: CallOptions): Promise<string> {
    return (await this.grpc.unary(RPC.portForward, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).url;
  }

  async listContainerStats(
    filter?: Partial<cri.ContainerStatsFilter>,
    options?: CallOptions,
  ): Promise<cri.ContainerStats[]> {
    const request = { filter: filter && cri.ContainerStatsFilter.fromPartial(filter) };
    return (await this.grpc.unary(RPC.listContainerStats, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).stats;
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const { grpc, clock, logger, tasks } = this;
    const onForgotten = tasks && ((id: string): void => tasks.forget(id));
    return runtimeEvents({ grpc, runtime: this, clock, logger, onForgotten }, signal);
  }
}

class CriImageService implements ImageService {
  private readonly grpc: GrpcClient;

  constructor(grpc: GrpcClient) {
    this.grpc = grpc;
  }

  async imageStatus(image: string, options?: CallOptions): Promise<cri.Image | undefined> {
    const request = { image: cri.ImageSpec.fromPartial({ image }), verbose: false };
    return (await this.grpc.unary(RPC.imageStatus, request, withTimeout(options, LOOKUP_TIMEOUT_MS))).image;
  }

  async pullImage(
    image: string,
    sandboxConfig: cri.PodSandboxConfig | undefined,
    options?: CallOptions,
  ): Promise<string> {
    const request = { image: cri.ImageSpec.fromPartial({ image }), auth: undefined, sandboxConfig };
    // No time-out: a large image over a slow line takes what it takes, and the runtime gives up when nothing moves.
    return (await this.grpc.unary(RPC.pullImage, request, withTimeout(options, undefined))).imageRef;
  }

  async listImages(options?: CallOptions): Promise<cri.Image[]> {
    return (await this.grpc.unary(RPC.listImages, { filter: undefined }, withTimeout(options, LOOKUP_TIMEOUT_MS)))
      .images;
  }

  async removeImage(image: string, options?: CallOptions): Promise<void> {
    const request = { image: cri.ImageSpec.fromPartial({ image }) };
    await goneIsFine(this.grpc.unary(RPC.removeImage, request, withTimeout(options, CALL_TIMEOUT_MS)));
  }

  async imageFsInfo(options?: CallOptions): Promise<cri.FilesystemUsage[]> {
    return (await this.grpc.unary(RPC.imageFsInfo, {}, withTimeout(options, LOOKUP_TIMEOUT_MS))).imageFilesystems;
  }
}

/** CRI demands that stopping and removing what is gone succeed; containerd 1.6 answers NOT_FOUND in some places. */
async function goneIsFine(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof CriError && error.code === 'NOT_FOUND')) throw error;
  }
}
