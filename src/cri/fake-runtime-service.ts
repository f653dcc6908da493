import type { Clock } from '../lib/clock.ts';
import { abortReason } from '../lib/errors.ts';
import { type CriCode, CriError } from './cri-error.ts';
import { EventQueue } from './event-queue.ts';
import type * as cri from './generated/cri.ts';
import { ContainerState, ContainerStatus, Image, NamespaceMode, PodSandboxState } from './generated/cri.ts';
import type { CallOptions, ExecSyncResult, ImageService, RuntimeEvent, RuntimeService } from './runtime-service.ts';

/** What the process of one container does. Everything is optional: by default it runs until it is stopped. */
export interface FakeBehaviour {
  /** Exits by itself so long after its start. */
  readonly exitAfterMs?: number;
  /** The exit code of that; default 0. */
  readonly exitCode?: number;
  /** Whether that exit is an out-of-memory kill. */
  readonly oom?: boolean;
  /** Only SIGKILL ends it. */
  readonly ignoreSigterm?: boolean;
  /** How long it takes to exit after SIGTERM; default 0. */
  readonly stopAfterMs?: number;
  /** The exit code after SIGTERM; default 143. */
  readonly stopExitCode?: number;
  /** What it prints on stdout at its start; see `FakeRuntime.logs`. */
  readonly output?: string;
  /** The runtime cannot start it: `startContainer` fails and the container is left exited with 128, StartError. */
  readonly startError?: string;
  /** Answers `execSync`; without it every command exits 0 without output. */
  readonly exec?: (command: readonly string[]) => FakeExecResult;
}

export interface FakeExecResult {
  readonly exitCode?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** How long it runs; default 0. */
  readonly afterMs?: number;
  /** The runtime cannot run it: the call fails with this message, code UNKNOWN. */
  readonly error?: string;
}

/** A call as it was made. */
export interface FakeCall {
  readonly method: FakeMethod;
  /** Who it was about, for people: a container's name, a sandbox's pod name, an image. */
  readonly target: string;
  /** Monotonic ms of the clock. */
  readonly atMs: number;
  readonly args: readonly unknown[];
}

export type FakeMethod = Exclude<keyof RuntimeService | keyof ImageService, 'events'>;

interface FakeSandbox {
  readonly id: string;
  readonly config: cri.PodSandboxConfig;
  readonly runtimeHandler: string;
  readonly createdAt: bigint;
  readonly ip: string;
  state: PodSandboxState;
}

interface FakeContainer {
  readonly sandbox: FakeSandbox;
  readonly config: cri.ContainerConfig;
  readonly status: ContainerStatus;
  behaviour: FakeBehaviour;
  /** The process is gone, though `status` may not say so yet. */
  exited: boolean;
  /** Resolve once the status says exited. */
  waiting: (() => void)[];
}

export interface FakeRuntimeOptions {
  readonly clock: Clock;
  /** How much earlier an exit event comes than the status that shows it (containerd: about 70 ms). Default 0. */
  readonly exitReportLagMs?: number;
}

/**
 * A scripted container runtime in memory, for unit tests: behaves towards its caller as containerd does, answers at once unless
 * told otherwise, and moves only with the clock it is given.
 */
export class FakeRuntime {
  readonly runtime: FakeRuntimeService;
  readonly images: FakeImageService;
  /** Every call, oldest first. */
  readonly calls: FakeCall[] = [];
  /** What containers printed, in CRI log format, by log path (log directory, `/`, the container's log_path). */
  readonly logs = new Map<string, string>();
  /** Ms that calls of a method take. */
  readonly latencyMs: Partial<Record<FakeMethod, number>> = {};

  /** @internal */ readonly sandboxes = new Map<string, FakeSandbox>();
  /** @internal */ readonly containers = new Map<string, FakeContainer>();
  /** @internal */ readonly clock: Clock;
  private readonly exitReportLagMs: number;
  private readonly failures = new Map<FakeMethod, Error[]>();
  private readonly behaviours = new Map<string, FakeBehaviour[]>();
  private readonly listeners = new Set<EventQueue<RuntimeEvent>>();
  private serial = 0;
  private addresses = 0;
  private away = false;

  constructor({ clock, exitReportLagMs = 0 }: FakeRuntimeOptions) {
    this.clock = clock;
    this.exitReportLagMs = exitReportLagMs;
    this.runtime = new FakeRuntimeService(this);
    this.images = new FakeImageService(this);
  }

  /** The next call of `method` fails with `error` (a string: CriError with code UNKNOWN). Calls of this queue up. */
  failNext(method: FakeMethod, error: Error | string): void {
    const queue = this.failures.get(method) ?? [];
    queue.push(typeof error === 'string' ? new CriError('UNKNOWN', rpcName(method), error) : error);
    this.failures.set(method, queue);
  }

  /** What containers of this name do: the first start takes the first behaviour, and so on; the last one stays. */
  onStart(containerName: string, ...behaviours: FakeBehaviour[]): void {
    this.behaviours.set(containerName, behaviours);
  }

  /** The container's process ends by itself, now. */
  exit(containerId: string, exitCode: number, options: { oom?: boolean } = {}): void {
    const container = this.containers.get(containerId);
    if (!container || container.status.state !== ContainerState.CONTAINER_RUNNING || container.exited) {
      throw new Error(`fake runtime: container ${containerId} does not run`);
    }
    this.finish(container, exitCode, options.oom ?? false);
  }

  /** The sandbox's own process dies (as after a reboot): not ready any more, its containers killed. */
  killSandbox(sandboxId: string): void {
    const sandbox = this.sandboxes.get(sandboxId);
    if (!sandbox) throw new Error(`fake runtime: no sandbox ${sandboxId}`);
    sandbox.state = PodSandboxState.SANDBOX_NOTREADY;
    for (const c of this.containersOf(sandboxId)) this.kill(c);
  }

  /** The newest container of this name, with its status as CRI reports it. */
  container(name: string): ContainerStatus | undefined {
    return [...this.containers.values()].findLast((c) => c.config.metadata?.name === name)?.status;
  }

  /** The runtime goes away: calls fail with UNAVAILABLE and events are lost, but containers live on. */
  disconnect(): void {
    this.away = true;
  }

  /** It is back: every listener gets `resync`. */
  reconnect(): void {
    this.away = false;
    this.emit({ type: 'resync' });
  }

  // --- what the two services are made of

  /** @internal Records a call, lets its latency pass, and fails it if so scripted. */
  async call(method: FakeMethod, target: string, args: readonly unknown[], options: CallOptions = {}): Promise<void> {
    this.calls.push({ method, target, args, atMs: this.clock.monotonic() });
    if (options.signal?.aborted) throw abortReason(options.signal);
    const latency = this.latencyMs[method];
    if (latency) await this.clock.sleep(latency, options.signal);
    const failure = this.failures.get(method)?.shift();
    if (failure) throw failure;
    if (this.away) throw new CriError('UNAVAILABLE', rpcName(method), 'connect ECONNREFUSED /run/fake.sock');
  }

  /** @internal */
  nextId(prefix: string): string {
    return `${prefix}-${++this.serial}`;
  }

  /** @internal Wall time in ns. */
  nowNs(): bigint {
    return BigInt(Math.round(this.clock.now())) * 1_000_000n;
  }

  /** @internal An address nobody had before: 10.244.0.2, .3, ... */
  nextAddress(): string {
    const n = ++this.addresses + 1;
    return `10.244.${n >> 8}.${n & 0xff}`;
  }

  /** @internal */
  containersOf(sandboxId: string): FakeContainer[] {
    return [...this.containers.values()].filter((c) => c.sandbox.id === sandboxId);
  }

  /** @internal */
  takeBehaviour(containerName: string): FakeBehaviour {
    const queue = this.behaviours.get(containerName);
    if (!queue) return {};
    return (queue.length > 1 ? queue.shift() : queue[0]) ?? {};
  }

  /** @internal */
  run(container: FakeContainer): void {
    const { behaviour, status } = container;
    status.state = ContainerState.CONTAINER_RUNNING;
    status.startedAt = this.nowNs();
    if (behaviour.output !== undefined) this.print(container, behaviour.output);
    this.emit({ type: 'containerStarted', containerId: status.id });
    if (behaviour.exitAfterMs !== undefined) {
      this.clock.setTimer(behaviour.exitAfterMs, () => {
        if (!container.exited) this.finish(container, behaviour.exitCode ?? 0, behaviour.oom ?? false);
      });
    }
  }

  /** @internal Stops a running container and resolves once its status says exited. */
  async stop(container: FakeContainer, timeoutSeconds: number): Promise<void> {
    if (container.status.state !== ContainerState.CONTAINER_RUNNING) return;
    const stopped = new Promise<void>((resolve) => container.waiting.push(resolve));
    const { ignoreSigterm, stopAfterMs = 0, stopExitCode = 143 } = container.behaviour;
    const graceMs = timeoutSeconds * 1000;
    const exit = (code: number): void => {
      if (!container.exited) this.finish(container, code, false);
    };
    if (ignoreSigterm || stopAfterMs >= graceMs) {
      if (graceMs <= 0) exit(137);
      else this.clock.setTimer(graceMs, () => exit(137));
    } else if (stopAfterMs === 0) {
      exit(stopExitCode);
    } else {
      this.clock.setTimer(stopAfterMs, () => exit(stopExitCode));
    }
    await stopped;
  }

  /** @internal SIGKILL, now. */
  kill(container: FakeContainer): void {
    if (container.status.state === ContainerState.CONTAINER_RUNNING && !container.exited) {
      this.finish(container, 137, false);
    }
  }

  /** @internal */
  listen(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const queue = new EventQueue<RuntimeEvent>(signal);
    this.listeners.add(queue);
    signal.addEventListener('abort', () => this.listeners.delete(queue), { once: true });
    if (!this.away) queue.push({ type: 'resync' });
    return queue;
  }

  private emit(event: RuntimeEvent): void {
    if (this.away) return;
    for (const listener of this.listeners) listener.push(event);
  }

  private finish(container: FakeContainer, exitCode: number, oom: boolean): void {
    const { status } = container;
    const exitedAt = this.nowNs();
    container.exited = true;
    if (oom) this.emit({ type: 'containerOOM', containerId: status.id });
    this.emit({ type: 'containerExited', containerId: status.id, exitCode, exitedAt });
    const report = (): void => {
      status.state = ContainerState.CONTAINER_EXITED;
      status.finishedAt = exitedAt;
      status.exitCode = exitCode;
      status.reason = oom ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error';
      for (const resolve of container.waiting.splice(0)) resolve();
    };
    if (this.exitReportLagMs > 0) this.clock.setTimer(this.exitReportLagMs, report);
    else report();
  }

  private print(container: FakeContainer, output: string): void {
    const time = new Date(this.clock.now()).toISOString();
    const lines = output.replace(/\n$/, '').split('\n');
    const text = lines.map((line) => `${time} stdout F ${line}\n`).join('');
    const path = container.status.logPath;
    this.logs.set(path, (this.logs.get(path) ?? '') + text);
  }
}

/** The RuntimeService of a `FakeRuntime`. */
export class FakeRuntimeService implements RuntimeService {
  private readonly fake: FakeRuntime;

  constructor(fake: FakeRuntime) {
    this.fake = fake;
  }

  async version(options?: CallOptions): Promise<cri.VersionResponse> {
    await this.fake.call('version', '', [], options);
    return { version: '0.1.0', runtimeName: 'fake', runtimeVersion: '0', runtimeApiVersion: 'v1' };
  }

  async status(options?: CallOptions): Promise<cri.RuntimeCondition[]> {
    await this.fake.call('status', '', [], options);
    return ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, status: true, reason: '', message: '' }));
  }

  async runPodSandbox(config: cri.PodSandboxConfig, runtimeHandler: string, options?: CallOptions): Promise<string> {
    const { fake } = this;
    const metadata = config.metadata;
    await fake.call('runPodSandbox', metadata?.name ?? '', [config, runtimeHandler], options);
    if (!metadata) throw fail('INVALID_ARGUMENT', 'RunPodSandbox', 'sandbox config must include metadata');
    const name = sandboxName(metadata);
    for (const other of fake.sandboxes.values()) {
      if (sandboxName(other.config.metadata!) !== name) continue;
      const message = `failed to reserve sandbox name "${name}": name "${name}" is reserved for "${other.id}"`;
      throw fail('UNKNOWN', 'RunPodSandbox', message);
    }
    const hostNetwork = config.linux?.securityContext?.namespaceOptions?.network === NamespaceMode.NODE;
    const id = fake.nextId('sandbox');
    fake.sandboxes.set(id, {
      id,
      config,
      runtimeHandler,
      createdAt: fake.nowNs(),
      ip: hostNetwork ? '' : fake.nextAddress(),
      state: PodSandboxState.SANDBOX_READY,
    });
    return id;
  }

  async stopPodSandbox(id: string, options?: CallOptions): Promise<void> {
    const sandbox = this.fake.sandboxes.get(id);
    await this.fake.call('stopPodSandbox', sandbox?.config.metadata?.name ?? id, [id], options);
    if (!sandbox) return;
    await Promise.all(this.fake.containersOf(id).map((c) => this.fake.stop(c, 0)));
    sandbox.state = PodSandboxState.SANDBOX_NOTREADY;
  }

  async removePodSandbox(id: string, options?: CallOptions): Promise<void> {
    const sandbox = this.fake.sandboxes.get(id);
    await this.fake.call('removePodSandbox', sandbox?.config.metadata?.name ?? id, [id], options);
    for (const c of this.fake.containersOf(id)) {
      this.fake.kill(c);
      this.fake.containers.delete(c.status.id);
    }
    this.fake.sandboxes.delete(id);
  }

  async podSandboxStatus(id: string, options?: CallOptions): Promise<cri.PodSandboxStatus> {
    await this.fake.call('podSandboxStatus', id, [id], options);
    const s = this.findSandbox(id, 'PodSandboxStatus');
    return {
      id,
      metadata: s.config.metadata,
      state: s.state,
      createdAt: s.createdAt,
      network: { ip: s.state === PodSandboxState.SANDBOX_READY ? s.ip : '', additionalIps: [] },
      linux: { namespaces: { options: s.config.linux?.securityContext?.namespaceOptions } },
      labels: s.config.labels,
      annotations: s.config.annotations,
      runtimeHandler: s.runtimeHandler,
    };
  }

  async listPodSandbox(filter: Partial<cri.PodSandboxFilter> = {}, options?: CallOptions): Promise<cri.PodSandbox[]> {
    await this.fake.call('listPodSandbox', '', [filter], options);
    return [...this.fake.sandboxes.values()]
      .filter(
        (s) =>
          matchesId(s.id, filter.id) &&
          (!filter.state || filter.state.state === s.state) &&
          matchesLabels(s.config.labels, filter.labelSelector),
      )
      .map((s) => ({
        id: s.id,
        metadata: s.config.metadata,
        state: s.state,
        createdAt: s.createdAt,
        labels: s.config.labels,
        annotations: s.config.annotations,
        runtimeHandler: s.runtimeHandler,
      }));
  }

  async createContainer(
    sandboxId: string,
    config: cri.ContainerConfig,
    sandboxConfig: cri.PodSandboxConfig,
    options?: CallOptions,
  ): Promise<string> {
    const { fake } = this;
    const metadata = config.metadata;
    await fake.call('createContainer', metadata?.name ?? '', [sandboxId, config, sandboxConfig], options);
    if (!metadata) throw fail('INVALID_ARGUMENT', 'CreateContainer', 'container config must include metadata');
    const sandbox = fake.sandboxes.get(sandboxId);
    if (!sandbox) {
      throw fail('NOT_FOUND', 'CreateContainer', `failed to find sandbox id "${sandboxId}": not found`);
    }
    if (sandbox.state !== PodSandboxState.SANDBOX_READY) {
      const message = `failed to get sandbox container task: no running task found: task ${sandboxId} not found: not found`;
      throw fail('NOT_FOUND', 'CreateContainer', message);
    }
    const twin = fake
      .containersOf(sandboxId)
      .find((c) => c.config.metadata?.name === metadata.name && c.config.metadata.attempt === metadata.attempt);
    if (twin) {
      const name = `${metadata.name}_${sandboxName(sandbox.config.metadata!)}_${metadata.attempt}`;
      const message = `failed to reserve container name "${name}": name "${name}" is reserved for "${twin.status.id}"`;
      throw fail('UNKNOWN', 'CreateContainer', message);
    }
    const id = fake.nextId(metadata.name);
    const image = config.image?.image ?? '';
    fake.containers.set(id, {
      sandbox,
      config,
      behaviour: {},
      exited: false,
      waiting: [],
      status: ContainerStatus.fromPartial({
        id,
        metadata,
        state: ContainerState.CONTAINER_CREATED,
        createdAt: fake.nowNs(),
        image: { image },
        imageRef: fake.images.refOf(image),
        labels: config.labels,
        annotations: config.annotations,
        mounts: config.mounts,
        logPath: config.logPath && `${sandboxConfig.logDirectory}/${config.logPath}`,
      }),
    });
    return id;
  }

  async startContainer(id: string, options?: CallOptions): Promise<void> {
    await this.fake.call('startContainer', this.nameOf(id), [id], options);
    const container = this.find(id, 'StartContainer');
    const { status, config } = container;
    if (status.state !== ContainerState.CONTAINER_CREATED) {
      const message = `failed to set starting state for container "${id}": container is in ${stateName(status.state)} state`;
      throw fail('UNKNOWN', 'StartContainer', message);
    }
    container.behaviour = this.fake.takeBehaviour(config.metadata?.name ?? '');
    const { startError } = container.behaviour;
    if (startError === undefined) return this.fake.run(container);
    Object.assign(status, {
      state: ContainerState.CONTAINER_EXITED,
      finishedAt: this.fake.nowNs(),
      exitCode: 128,
      reason: 'StartError',
      message: startError,
    });
    container.exited = true;
    throw fail('UNKNOWN', 'StartContainer', startError);
  }

  async stopContainer(id: string, timeoutSeconds: number, options?: CallOptions): Promise<void> {
    const container = this.fake.containers.get(id);
    await this.fake.call('stopContainer', this.nameOf(id), [id, timeoutSeconds], options);
    if (container) await this.fake.stop(container, timeoutSeconds);
  }

  async removeContainer(id: string, options?: CallOptions): Promise<void> {
    await this.fake.call('removeContainer', this.nameOf(id), [id], options);
    const container = this.fake.containers.get(id);
    if (!container) return;
    await this.fake.stop(container, 0);
    this.fake.containers.delete(id);
  }

  async listContainers(filter: Partial<cri.ContainerFilter> = {}, options?: CallOptions): Promise<cri.Container[]> {
    await this.fake.call('listContainers', '', [filter], options);
    return [...this.fake.containers.values()]
      .filter(
        (c) =>
          matchesId(c.status.id, filter.id) &&
          matchesId(c.sandbox.id, filter.podSandboxId) &&
          (!filter.state || filter.state.state === c.status.state) &&
          matchesLabels(c.config.labels, filter.labelSelector),
      )
      .map((c) => ({
        id: c.status.id,
        podSandboxId: c.sandbox.id,
        metadata: c.status.metadata,
        image: c.status.image,
        imageRef: c.status.imageRef,
        state: c.status.state,
        createdAt: c.status.createdAt,
        labels: c.config.labels,
        annotations: c.config.annotations,
      }));
  }

  async containerStatus(id: string, options?: CallOptions): Promise<ContainerStatus> {
    await this.fake.call('containerStatus', this.nameOf(id), [id], options);
    return { ...this.find(id, 'ContainerStatus').status };
  }

  async updateContainerResources(
    id: string,
    resources: cri.LinuxContainerResources,
    options?: CallOptions,
  ): Promise<void> {
    await this.fake.call('updateContainerResources', this.nameOf(id), [id, resources], options);
    this.find(id, 'UpdateContainerResources');
  }

  async reopenContainerLog(id: string, options?: CallOptions): Promise<void> {
    await this.fake.call('reopenContainerLog', this.nameOf(id), [id], options);
    this.findRunning(id, 'ReopenContainerLog');
  }

  async execSync(
    id: string,
    command: string[],
    timeoutSeconds: number,
    options?: CallOptions,
  ): Promise<ExecSyncResult> {
    await this.fake.call('execSync', this.nameOf(id), [id, command, timeoutSeconds], options);
    const { behaviour } = this.findRunning(id, 'ExecSync');
    const result = behaviour.exec?.(command) ?? {};
    const { afterMs = 0 } = result;
    if (timeoutSeconds > 0 && afterMs > timeoutSeconds * 1000) {
      await this.fake.clock.sleep(timeoutSeconds * 1000, options?.signal);
      const message = `failed to exec in container: timeout ${timeoutSeconds}s exceeded: context deadline exceeded`;
      throw fail('DEADLINE_EXCEEDED', 'ExecSync', message);
    }
    if (afterMs > 0) await this.fake.clock.sleep(afterMs, options?.signal);
    if (result.error !== undefined) throw fail('UNKNOWN', 'ExecSync', result.error);
    return {
      stdout: new TextEncoder().encode(result.stdout ?? ''),
      stderr: new TextEncoder().encode(result.stderr ?? ''),
      exitCode: result.exitCode ?? 0,
    };
  }

  async exec(request: cri.ExecRequest, options?: CallOptions): Promise<string> {
    await this.fake.call('exec', this.nameOf(request.containerId), [request], options);
    this.findRunning(request.containerId, 'Exec');
    return `http://127.0.0.1:1/exec/${request.containerId}`;
  }

  async attach(request: cri.AttachRequest, options?: CallOptions): Promise<string> {
    await this.fake.call('attach', this.nameOf(request.containerId), [request], options);
    this.findRunning(request.containerId, 'Attach');
    return `http://127.0.0.1:1/attach/${request.containerId}`;
  }

  async portForward(request: cri.PortForwardRequest, options?: CallOptions): Promise<string> {
    await this.fake.call('portForward', request.podSandboxId, [request], options);
    this.findSandbox(request.podSandboxId, 'PortForward');
    return `http://127.0.0.1:1/portforward/${request.podSandboxId}`;
  }

  async listContainerStats(
    filter: Partial<cri.ContainerStatsFilter> = {},
    options?: CallOptions,
  ): Promise<cri.ContainerStats[]> {
    await this.fake.call('listContainerStats', '', [filter], options);
    return [];
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.fake.listen(signal);
  }

  private nameOf(id: string): string {
    return this.fake.containers.get(id)?.config.metadata?.name ?? id;
  }

  private findSandbox(id: string, rpc: string): FakeSandbox {
    const sandbox = this.fake.sandboxes.get(id);
    if (!sandbox) throw fail('NOT_FOUND', rpc, `an error occurred when try to find sandbox: not found`);
    return sandbox;
  }

  private find(id: string, rpc: string): FakeContainer {
    const container = this.fake.containers.get(id);
    if (!container) throw fail('NOT_FOUND', rpc, `an error occurred when try to find container "${id}": not found`);
    return container;
  }

  private findRunning(id: string, rpc: string): FakeContainer {
    const container = this.find(id, rpc);
    if (container.status.state !== ContainerState.CONTAINER_RUNNING || container.exited) {
      const what = rpc === 'ExecSync' ? 'failed to exec in container: ' : '';
      throw fail('UNKNOWN', rpc, `${what}container is in ${stateName(container.status.state)} state`);
    }
    return container;
  }
}

/** The ImageService of a `FakeRuntime`. Every pull succeeds unless `failNext('pullImage', ...)` says otherwise. */
export class FakeImageService implements ImageService {
  private readonly fake: FakeRuntime;
  private readonly present = new Map<string, Image>();

  constructor(fake: FakeRuntime) {
    this.fake = fake;
  }

  /** Makes an image present without a pull; returns its id. */
  add(image: string, details: Partial<Image> = {}): string {
    const id = details.id ?? `sha256:${image}`;
    this.present.set(id, Image.fromPartial({ id, repoTags: [image], size: 1_000_000n, ...details }));
    return id;
  }

  /** The id of an image, or the name itself when it is not present. */
  refOf(image: string): string {
    return this.find(image)?.id ?? image;
  }

  async imageStatus(image: string, options?: CallOptions): Promise<Image | undefined> {
    await this.fake.call('imageStatus', image, [image], options);
    return this.find(image);
  }

  async pullImage(
    image: string,
    sandboxConfig: cri.PodSandboxConfig | undefined,
    options?: CallOptions,
  ): Promise<string> {
    await this.fake.call('pullImage', image, [image, sandboxConfig], options);
    return this.find(image)?.id ?? this.add(image);
  }

  async listImages(options?: CallOptions): Promise<Image[]> {
    await this.fake.call('listImages', '', [], options);
    return [...this.present.values()];
  }

  async removeImage(image: string, options?: CallOptions): Promise<void> {
    await this.fake.call('removeImage', image, [image], options);
    const found = this.find(image);
    if (found) this.present.delete(found.id);
  }

  async imageFsInfo(options?: CallOptions): Promise<cri.FilesystemUsage[]> {
    await this.fake.call('imageFsInfo', '', [], options);
    return [];
  }

  private find(image: string): Image | undefined {
    return (
      this.present.get(image) ??
      [...this.present.values()].find((i) => i.repoTags.includes(image) || i.repoDigests.includes(image))
    );
  }
}

function fail(code: CriCode, rpc: string, message: string): CriError {
  return new CriError(code, rpc, message);
}

function rpcName(method: FakeMethod): string {
  return method[0]!.toUpperCase() + method.slice(1);
}

function sandboxName(metadata: cri.PodSandboxMetadata): string {
  return `${metadata.name}_${metadata.namespace}_${metadata.uid}_${metadata.attempt}`;
}

function stateName(state: ContainerState): string {
  return Object.entries(ContainerState).find(([, value]) => value === state)![0];
}

function matchesId(id: string, wanted: string | undefined): boolean {
  return !wanted || id === wanted;
}

function matchesLabels(labels: Record<string, string>, wanted: Record<string, string> | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels[key] === value);
}
