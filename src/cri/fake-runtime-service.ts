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
  /** End the commands that run in it. */
  readonly execs: Set<() => void>;
}

/** What befalls one call, besides what it does by itself. */
export interface CallFate {
  /** Ms until the runtime acts on it. */
  readonly afterMs?: number;
  /** It fails with this instead of being acted upon. */
  readonly error?: Error;
  /** The runtime acts, but the caller gets this instead of the answer. */
  readonly lost?: Error;
  /** No answer ever: after so long (or what the call's own options say) the caller gives up. */
  readonly hang?: { readonly acts: boolean; readonly timeoutMs: number };
}

/** Something that happened in the runtime: its own history, whoever learns of it. */
export type RuntimeFact =
  | { readonly what: 'sandboxStarted'; readonly sandbox: cri.PodSandboxMetadata; readonly sandboxId: string }
  | { readonly what: 'sandboxStopped' | 'sandboxRemoved'; readonly sandboxId: string }
  | {
      readonly what: 'containerCreated';
      readonly sandboxId: string;
      readonly containerId: string;
      readonly container: cri.ContainerMetadata;
    }
  | { readonly what: 'containerStarted' | 'containerNotStarted' | 'containerRemoved'; readonly containerId: string }
  /** Asked to stop, by SIGTERM; with 0 seconds, by SIGKILL. */
  | { readonly what: 'containerSignalled'; readonly containerId: string; readonly graceSeconds: number }
  | {
      readonly what: 'containerExited';
      readonly containerId: string;
      readonly exitCode: number;
      readonly oom: boolean;
      /** `itself`; heeding a signal; killed (by us, or with its sandbox). */
      readonly by: 'itself' | 'SIGTERM' | 'SIGKILL';
    }
  | { readonly what: 'imagePulled'; readonly image: string };

export interface FakeRuntimeOptions {
  readonly clock: Clock;
  /** How much earlier an exit event comes than the status that shows it (containerd: about 70 ms). Default 0. */
  readonly exitReportLagMs?: number | (() => number);
  /** What befalls each call; by default nothing. */
  readonly fate?: (method: FakeMethod, target: string) => CallFate;
  /** The delays, in ms, after which each listener gets an event: none when it is lost, two when it is doubled. Default [0]. */
  readonly eventDelaysMs?: (event: RuntimeEvent) => readonly number[];
  /** What a container does that is being started; by default what `onStart` says. */
  readonly behaviour?: (started: {
    readonly containerId: string;
    readonly container: cri.ContainerConfig;
    readonly sandbox: cri.PodSandboxConfig;
  }) => FakeBehaviour;
  readonly onFact?: (fact: RuntimeFact) => void;
  /** Whether `calls` is kept. Default true. */
  readonly keepsCalls?: boolean;
}

/**
 * A scripted container runtime in memory, for unit tests and the simulator: behaves towards its caller as containerd does, answers
 * at once unless told otherwise, and moves only with the clock it is given.
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
  private readonly options: FakeRuntimeOptions;
  private readonly failures = new Map<FakeMethod, Error[]>();
  private readonly behaviours = new Map<string, FakeBehaviour[]>();
  private readonly listeners = new Set<EventQueue<RuntimeEvent>>();
  private serial = 0;
  private addresses = 0;
  /** Rejects the calls that are under way. */
  private readonly inFlight = new Set<() => void>();
  private away = false;

  constructor(options: FakeRuntimeOptions) {
    this.clock = options.clock;
    this.options = options;
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
    this.finish(container, exitCode, 'itself', options.oom ?? false);
  }

  /** The sandbox's own process dies (as after a reboot): not ready any more, its containers killed. */
  killSandbox(sandboxId: string): void {
    const sandbox = this.sandboxes.get(sandboxId);
    if (!sandbox) throw new Error(`fake runtime: no sandbox ${sandboxId}`);
    this.sandboxStopped(sandbox);
    for (const c of this.containersOf(sandboxId)) this.kill(c);
    this.emit({ type: 'containerExited', containerId: sandboxId, exitCode: 137, exitedAt: this.nowNs() });
  }

  /** The newest container of this name, with its status as CRI reports it. */
  container(name: string): ContainerStatus | undefined {
    return [...this.containers.values()].findLast((c) => c.config.metadata?.name === name)?.status;
  }

  /** The runtime goes away: calls fail with UNAVAILABLE and events are lost, but containers live on. */
  disconnect(): void {
    this.away = true;
    for (const reject of [...this.inFlight]) reject();
  }

  /** It is back: every listener gets `resync`. */
  reconnect(): void {
    this.away = false;
    this.emit({ type: 'resync' });
  }

  // --- what the two services are made of

  /** @internal Records a call and carries it out, unless its fate is another. */
  call<T>(
    method: FakeMethod,
    target: string,
    args: readonly unknown[],
    options: CallOptions | undefined,
    act: () => T | Promise<T>,
  ): Promise<T> {
    if (this.options.keepsCalls ?? true) this.calls.push({ method, target, args, atMs: this.clock.monotonic() });
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const end = (): void => {
        isOver = true;
        this.inFlight.delete(goAway);
      };
      const goAway = (): void => {
        end();
        reject(new CriError('UNAVAILABLE', rpcName(method), 'connection closed: EOF'));
      };
      this.inFlight.add(goAway);
      this.carryOut(method, target, options, act, () => isOver).then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  private async carryOut<T>(
    method: FakeMethod,
    target: string,
    { signal, timeoutMs }: CallOptions = {},
    act: () => T | Promise<T>,
    isOver: () => boolean,
  ): Promise<T> {
    if (signal?.aborted) throw abortReason(signal);
    const fate = this.options.fate?.(method, target) ?? {};
    const delayMs = (this.latencyMs[method] ?? 0) + (fate.afterMs ?? 0);
    if (delayMs > 0) await this.clock.sleep(delayMs, signal);
    const failure = this.failures.get(method)?.shift();
    if (failure) throw failure;
    if (this.away || isOver()) {
      throw new CriError('UNAVAILABLE', rpcName(method), 'connect ECONNREFUSED /run/fake.sock');
    }
    if (fate.error) throw fate.error;
    if (fate.hang) {
      if (fate.hang.acts) void Promise.resolve(act()).catch(() => {});
      await this.clock.sleep(timeoutMs ?? fate.hang.timeoutMs, signal);
      throw new CriError('DEADLINE_EXCEEDED', rpcName(method), 'context deadline exceeded');
    }
    const answer = await act();
    if (fate.lost) throw fate.lost;
    return answer;
  }

  /** @internal */
  tell(fact: RuntimeFact): void {
    this.options.onFact?.(fact);
  }

  /** @internal */
  sandboxStopped(sandbox: FakeSandbox): void {
    if (sandbox.state === PodSandboxState.SANDBOX_NOTREADY) return;
    sandbox.state = PodSandboxState.SANDBOX_NOTREADY;
    this.tell({ what: 'sandboxStopped', sandboxId: sandbox.id });
  }

  /** @internal */
  drop(container: FakeContainer): void {
    if (!this.containers.delete(container.status.id)) return;
    this.tell({ what: 'containerRemoved', containerId: container.status.id });
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
  takeBehaviour({ config, sandbox, status }: FakeContainer): FakeBehaviour {
    const { behaviour } = this.options;
    if (behaviour) return behaviour({ containerId: status.id, container: config, sandbox: sandbox.config });
    const queue = this.behaviours.get(config.metadata?.name ?? '');
    if (!queue) return {};
    return (queue.length > 1 ? queue.shift() : queue[0]) ?? {};
  }

  /** @internal */
  run(container: FakeContainer): void {
    const { behaviour, status } = container;
    status.state = ContainerState.CONTAINER_RUNNING;
    status.startedAt = this.nowNs();
    if (behaviour.output !== undefined) this.print(container, behaviour.output);
    this.tell({ what: 'containerStarted', containerId: status.id });
    this.emit({ type: 'containerStarted', containerId: status.id });
    if (behaviour.exitAfterMs !== undefined) {
      this.clock.setTimer(behaviour.exitAfterMs, () => {
        this.finish(container, behaviour.exitCode ?? 0, 'itself', behaviour.oom);
      });
    }
  }

  /** @internal Stops a running container and resolves once its status says exited. */
  async stop(container: FakeContainer, timeoutSeconds: number): Promise<void> {
    if (container.status.state !== ContainerState.CONTAINER_RUNNING) return;
    const stopped = new Promise<void>((resolve) => container.waiting.push(resolve));
    const { ignoreSigterm, stopAfterMs = 0, stopExitCode = 143 } = container.behaviour;
    const graceMs = timeoutSeconds * 1000;
    if (!container.exited) {
      this.tell({ what: 'containerSignalled', containerId: container.status.id, graceSeconds: timeoutSeconds });
    }
    const heed = (): void => this.finish(container, stopExitCode, 'SIGTERM');
    const kill = (): void => this.finish(container, 137, 'SIGKILL');
    if (ignoreSigterm || stopAfterMs >= graceMs) {
      if (graceMs <= 0) kill();
      else this.clock.setTimer(graceMs, kill);
    } else if (stopAfterMs === 0) {
      heed();
    } else {
      this.clock.setTimer(stopAfterMs, heed);
    }
    await stopped;
  }

  /** @internal SIGKILL, now. */
  kill(container: FakeContainer): void {
    if (container.status.state === ContainerState.CONTAINER_RUNNING) this.finish(container, 137, 'SIGKILL');
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
    for (const listener of this.listeners) {
      for (const ms of this.options.eventDelaysMs?.(event) ?? [0]) {
        if (ms === 0) listener.push(event);
        else this.clock.setTimer(ms, () => listener.push(event));
      }
    }
  }

  private finish(container: FakeContainer, exitCode: number, by: 'itself' | 'SIGTERM' | 'SIGKILL', oom = false): void {
    const { status } = container;
    if (container.exited) return;
    const exitedAt = this.nowNs();
    container.exited = true;
    for (const end of container.execs) end();
    this.tell({ what: 'containerExited', containerId: status.id, exitCode, oom, by });
    if (oom) this.emit({ type: 'containerOOM', containerId: status.id });
    this.emit({ type: 'containerExited', containerId: status.id, exitCode, exitedAt });
    const report = (): void => {
      status.state = ContainerState.CONTAINER_EXITED;
      status.finishedAt = exitedAt;
      status.exitCode = exitCode;
      status.reason = oom ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error';
      for (const resolve of container.waiting.splice(0)) resolve();
    };
    const { exitReportLagMs = 0 } = this.options;
    const lagMs = typeof exitReportLagMs === 'number' ? exitReportLagMs : exitReportLagMs();
    if (lagMs > 0) this.clock.setTimer(lagMs, report);
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
    return this.fake.call('version', '', [], options, async () => {
      return { version: '0.1.0', runtimeName: 'fake', runtimeVersion: '0', runtimeApiVersion: 'v1' };
    });
  }

  async status(options?: CallOptions): Promise<cri.RuntimeCondition[]> {
    return this.fake.call('status', '', [], options, async () => {
      return ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, status: true, reason: '', message: '' }));
    });
  }

  async runPodSandbox(config: cri.PodSandboxConfig, runtimeHandler: string, options?: CallOptions): Promise<string> {
    const { fake } = this;
    const metadata = config.metadata;
    return fake.call('runPodSandbox', metadata?.name ?? '', [config, runtimeHandler], options, async () => {
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
      fake.tell({ what: 'sandboxStarted', sandbox: metadata, sandboxId: id });
      return id;
    });
  }

  async stopPodSandbox(id: string, options?: CallOptions): Promise<void> {
    const sandbox = this.fake.sandboxes.get(id);
    return this.fake.call('stopPodSandbox', sandbox?.config.metadata?.name ?? id, [id], options, async () => {
      if (!sandbox) return;
      await Promise.all(this.fake.containersOf(id).map((c) => this.fake.stop(c, 0)));
      this.fake.sandboxStopped(sandbox);
    });
  }

  async removePodSandbox(id: string, options?: CallOptions): Promise<void> {
    const sandbox = this.fake.sandboxes.get(id);
    return this.fake.call('removePodSandbox', sandbox?.config.metadata?.name ?? id, [id], options, async () => {
      for (const c of this.fake.containersOf(id)) {
        this.fake.kill(c);
        this.fake.drop(c);
      }
      if (this.fake.sandboxes.delete(id)) this.fake.tell({ what: 'sandboxRemoved', sandboxId: id });
    });
  }

  async podSandboxStatus(id: string, options?: CallOptions): Promise<cri.PodSandboxStatus> {
    return this.fake.call('podSandboxStatus', id, [id], options, async () => {
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
    });
  }

  async listPodSandbox(filter: Partial<cri.PodSandboxFilter> = {}, options?: CallOptions): Promise<cri.PodSandbox[]> {
    return this.fake.call('listPodSandbox', '', [filter], options, async () => {
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
    });
  }

  async createContainer(
    sandboxId: string,
    config: cri.ContainerConfig,
    sandboxConfig: cri.PodSandboxConfig,
    options?: CallOptions,
  ): Promise<string> {
    const { fake } = this;
    const metadata = config.metadata;
    return fake.call('createContainer', metadata?.name ?? '', [sandboxId, config, sandboxConfig], options, async () => {
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
        execs: new Set(),
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
      fake.tell({ what: 'containerCreated', sandboxId, containerId: id, container: metadata });
      return id;
    });
  }

  async startContainer(id: string, options?: CallOptions): Promise<void> {
    return this.fake.call('startContainer', this.nameOf(id), [id], options, async () => {
      const container = this.find(id, 'StartContainer');
      const { status } = container;
      if (status.state !== ContainerState.CONTAINER_CREATED) {
        const message = `failed to set starting state for container "${id}": container is in ${stateName(status.state)} state`;
        throw fail('UNKNOWN', 'StartContainer', message);
      }
      container.behaviour = this.fake.takeBehaviour(container);
      let { startError } = container.behaviour;
      if (container.sandbox.state !== PodSandboxState.SANDBOX_READY) {
        startError = `sandbox container "${container.sandbox.id}" is not running`;
      }
      if (startError === undefined) return this.fake.run(container);
      Object.assign(status, {
        state: ContainerState.CONTAINER_EXITED,
        finishedAt: this.fake.nowNs(),
        exitCode: 128,
        reason: 'StartError',
        message: startError,
      });
      container.exited = true;
      this.fake.tell({ what: 'containerNotStarted', containerId: id });
      throw fail('UNKNOWN', 'StartContainer', startError);
    });
  }

  async stopContainer(id: string, timeoutSeconds: number, options?: CallOptions): Promise<void> {
    const container = this.fake.containers.get(id);
    return this.fake.call('stopContainer', this.nameOf(id), [id, timeoutSeconds], options, async () => {
      if (container) await this.fake.stop(container, timeoutSeconds);
    });
  }

  async removeContainer(id: string, options?: CallOptions): Promise<void> {
    return this.fake.call('removeContainer', this.nameOf(id), [id], options, async () => {
      const container = this.fake.containers.get(id);
      if (!container) return;
      await this.fake.stop(container, 0);
      this.fake.drop(container);
    });
  }

  async listContainers(filter: Partial<cri.ContainerFilter> = {}, options?: CallOptions): Promise<cri.Container[]> {
    return this.fake.call('listContainers', '', [filter], options, async () => {
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
    });
  }

  async containerStatus(id: string, options?: CallOptions): Promise<ContainerStatus> {
    return this.fake.call('containerStatus', this.nameOf(id), [id], options, async () => {
      return { ...this.find(id, 'ContainerStatus').status };
    });
  }

  async updateContainerResources(
    id: string,
    resources: cri.LinuxContainerResources,
    options?: CallOptions,
  ): Promise<void> {
    return this.fake.call('updateContainerResources', this.nameOf(id), [id, resources], options, async () => {
      this.find(id, 'UpdateContainerResources');
    });
  }

  async reopenContainerLog(id: string, options?: CallOptions): Promise<void> {
    return this.fake.call('reopenContainerLog', this.nameOf(id), [id], options, async () => {
      this.findRunning(id, 'ReopenContainerLog');
    });
  }

  async execSync(
    id: string,
    command: string[],
    timeoutSeconds: number,
    options?: CallOptions,
  ): Promise<ExecSyncResult> {
    return this.fake.call('execSync', this.nameOf(id), [id, command, timeoutSeconds], options, async () => {
      const container = this.findRunning(id, 'ExecSync');
      const result = container.behaviour.exec?.(command) ?? {};
      const { afterMs = 0 } = result;
      const isLate = timeoutSeconds > 0 && afterMs > timeoutSeconds * 1000;
      if (afterMs > 0) await this.runExec(container, isLate ? timeoutSeconds * 1000 : afterMs, options?.signal);
      // The command dies with the container.
      if (container.exited) return { stdout: new Uint8Array(), stderr: new Uint8Array(), exitCode: 137 };
      if (isLate) {
        const message = `failed to exec in container: timeout ${timeoutSeconds}s exceeded: context deadline exceeded`;
        throw fail('DEADLINE_EXCEEDED', 'ExecSync', message);
      }
      if (result.error !== undefined) throw fail('UNKNOWN', 'ExecSync', result.error);
      return {
        stdout: new TextEncoder().encode(result.stdout ?? ''),
        stderr: new TextEncoder().encode(result.stderr ?? ''),
        exitCode: result.exitCode ?? 0,
      };
    });
  }

  async exec(request: cri.ExecRequest, options?: CallOptions): Promise<string> {
    return this.fake.call('exec', this.nameOf(request.containerId), [request], options, async () => {
      this.findRunning(request.containerId, 'Exec');
      return `http://127.0.0.1:1/exec/${request.containerId}`;
    });
  }

  async attach(request: cri.AttachRequest, options?: CallOptions): Promise<string> {
    return this.fake.call('attach', this.nameOf(request.containerId), [request], options, async () => {
      this.findRunning(request.containerId, 'Attach');
      return `http://127.0.0.1:1/attach/${request.containerId}`;
    });
  }

  async portForward(request: cri.PortForwardRequest, options?: CallOptions): Promise<string> {
    return this.fake.call('portForward', request.podSandboxId, [request], options, async () => {
      this.findSandbox(request.podSandboxId, 'PortForward');
      return `http://127.0.0.1:1/portforward/${request.podSandboxId}`;
    });
  }

  async listContainerStats(
    filter: Partial<cri.ContainerStatsFilter> = {},
    options?: CallOptions,
  ): Promise<cri.ContainerStats[]> {
    return this.fake.call('listContainerStats', '', [filter], options, async () => {
      return [];
    });
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.fake.listen(signal);
  }

  /** Resolves after `ms`, or when the container ends. */
  private async runExec(container: FakeContainer, ms: number, signal: AbortSignal | undefined): Promise<void> {
    const ended = new AbortController();
    const end = (): void => ended.abort();
    container.execs.add(end);
    try {
      await this.fake.clock.sleep(ms, signal ? AbortSignal.any([signal, ended.signal]) : ended.signal);
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    } finally {
      container.execs.delete(end);
    }
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
    return this.fake.call('imageStatus', image, [image], options, async () => {
      return this.find(image);
    });
  }

  async pullImage(
    image: string,
    sandboxConfig: cri.PodSandboxConfig | undefined,
    options?: CallOptions,
  ): Promise<string> {
    return this.fake.call('pullImage', image, [image, sandboxConfig], options, async () => {
      const id = this.find(image)?.id ?? this.add(image);
      this.fake.tell({ what: 'imagePulled', image });
      return id;
    });
  }

  async listImages(options?: CallOptions): Promise<Image[]> {
    return this.fake.call('listImages', '', [], options, async () => {
      return [...this.present.values()];
    });
  }

  async removeImage(image: string, options?: CallOptions): Promise<void> {
    return this.fake.call('removeImage', image, [image], options, async () => {
      const found = this.find(image);
      if (found) this.present.delete(found.id);
    });
  }

  async imageFsInfo(options?: CallOptions): Promise<cri.FilesystemUsage[]> {
    return this.fake.call('imageFsInfo', '', [], options, async () => {
      return [];
    });
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
