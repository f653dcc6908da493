import { CriError } from '../../cri/cri-error.ts';
import type * as cri from '../../cri/generated/cri.ts';
import type { RuntimeEvent, RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import {
  type ContainerRuntimeStatus,
  LABELS,
  type PodRuntimeStatus,
  type SandboxRuntimeStatus,
} from '../runtime-status.ts';
import { diffRelist } from './diff-relist.ts';
import {
  containerFromCri,
  containerState,
  isAbandonedStart,
  isSandboxReady,
  msFromNs,
  sandboxFromCri,
} from './from-cri.ts';
import { type ReadTerminationMessage, terminationMessageOf } from './termination-message.ts';

export interface PodIdentity {
  readonly podUID: string;
  readonly namespace: string;
  readonly name: string;
}

interface SandboxEntry {
  readonly pod: PodIdentity;
  status: SandboxRuntimeStatus;
  seq: number;
}

interface ContainerEntry {
  readonly podUID: string;
  status: ContainerRuntimeStatus;
  /** CRI's last answer; an exit is acted upon before there is one. */
  answer: cri.ContainerStatus | undefined;
  /** Everything that a status shows is known. */
  settled: boolean;
  seq: number;
}

interface Exit {
  readonly exitCode: number;
  readonly finishedAt: number;
}

export interface PlegOptions {
  readonly runtime: RuntimeService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Only sandboxes with this value of `OWNER_LABEL` are ours: other kubelets may use the same runtime. */
  readonly owner: string;
  /** Something of this pod changed. Called synchronously; must not throw. */
  readonly onChange: (podUID: string) => void;
  /** The runtime answers again. */
  readonly onReturn?: () => void;
  readonly readMessage?: ReadTerminationMessage;
}

/** Label on sandboxes: which instance made them. */
export const OWNER_LABEL = 'io.kubelette.owner';

/** The safety net for lost events. */
const RELIST_PERIOD_MS = 10_000;
const RETRY_MS = 1000;

/**
 * The pod lifecycle event generator: knows what the runtime has of every pod, from its events, from what our own calls
 * returned, and from a slow list as the safety net. An exit counts from the moment its event comes, up to 70 ms before CRI's
 * status says so; what the event does not tell (start time, last words) is asked for meanwhile.
 */
export class Pleg {
  private readonly runtime: RuntimeService;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly owner: string;
  private readonly onChange: (podUID: string) => void;
  private readonly onReturn: () => void;
  private readonly readMessage: ReadTerminationMessage;

  private readonly sandboxes = new Map<string, SandboxEntry>();
  private readonly containers = new Map<string, ContainerEntry>();
  private readonly exits = new Map<string, Exit>();
  private readonly ooms = new Set<string>();
  /** Of containers whose end somebody waits for. */
  private readonly ends = new Map<string, PromiseWithResolvers<void>>();
  /** Containers that we are starting. */
  private readonly starting = new Set<string>();
  private readonly pods = new Map<string, PodRuntimeStatus>();
  private seq = 0;
  private relisting: Promise<boolean> | undefined;
  private timer: Timer | undefined;
  private error: string | undefined;

  constructor(options: PlegOptions) {
    this.runtime = options.runtime;
    this.clock = options.clock;
    this.logger = options.logger;
    this.owner = options.owner;
    this.onChange = options.onChange;
    this.onReturn = options.onReturn ?? (() => {});
    this.readMessage = options.readMessage ?? terminationMessageOf;
  }

  /** Follows the runtime until the signal aborts. Resolves once everything has been listed for the first time. */
  async start(signal: AbortSignal): Promise<void> {
    void this.follow(signal);
    while (!signal.aborted && !(await this.relist())) await this.clock.sleep(RETRY_MS, signal).catch(() => {});
    if (signal.aborted) return;
    this.scheduleRelist(signal);
    signal.addEventListener('abort', () => this.timer?.cancel(), { once: true });
  }

  /** Why the last list failed, or undefined: the runtime answers. */
  get runtimeError(): string | undefined {
    return this.error;
  }

  /** UIDs of all pods of which the runtime has anything. */
  podUIDs(): string[] {
    return [...new Set([...this.sandboxes.values()].map((s) => s.pod.podUID))];
  }

  identity(podUID: string): PodIdentity | undefined {
    for (const s of this.sandboxes.values()) if (s.pod.podUID === podUID) return s.pod;
    return undefined;
  }

  /** What the runtime has of a pod; the same object until something changes. */
  status(pod: PodIdentity): PodRuntimeStatus {
    const { podUID, namespace, name } = pod;
    let status = this.pods.get(podUID);
    if (!status) {
      const sandboxes = [...this.sandboxes.values()].filter((s) => s.pod.podUID === podUID).map((s) => s.status);
      const containers = [...this.containers.values()].filter((c) => c.podUID === podUID).map((c) => c.status);
      sandboxes.sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
      containers.sort((a, b) => b.restartCount - a.restartCount || b.createdAt - a.createdAt);
      status = { podUID, namespace, name, sandboxes, containers };
      this.pods.set(podUID, status);
    }
    return status;
  }

  /** Whether everything that the pod's status shows is known; if not, `onChange` comes soon. */
  isSettled(podUID: string): boolean {
    for (const c of this.containers.values()) if (c.podUID === podUID && !c.settled) return false;
    return true;
  }

  isRunning(containerId: string): boolean {
    return this.containers.get(containerId)?.status.state === 'running';
  }

  /** Resolves once the container is known to have ended, which events tell before a call that stops it returns, or to be gone. */
  ended(containerId: string): Promise<void> {
    const entry = this.containers.get(containerId);
    if (!entry || entry.status.state === 'exited') return Promise.resolve();
    const end = this.ends.get(containerId) ?? Promise.withResolvers<void>();
    this.ends.set(containerId, end);
    return end.promise;
  }

  // --- what our own calls did

  /** A sandbox was created or stopped: asks for its state. Resolves with it. */
  async refreshSandbox(pod: PodIdentity, id: string): Promise<SandboxRuntimeStatus> {
    const status = sandboxFromCri(await this.runtime.podSandboxStatus(id));
    this.sandboxes.set(id, { pod, status, seq: ++this.seq });
    this.changed(pod.podUID);
    return status;
  }

  /** A container was created. */
  containerCreated(
    podUID: string,
    created: Pick<ContainerRuntimeStatus, 'id' | 'name' | 'sandboxId' | 'restartCount' | 'hash' | 'image' | 'imageRef'>,
  ): void {
    const status: ContainerRuntimeStatus = {
      ...created,
      state: 'created',
      createdAt: this.clock.now(),
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      logPath: '',
    };
    this.put({ podUID, status, answer: undefined, settled: true, seq: 0 });
  }

  /**
   * Runs `call`, which starts a container: until it returns, events about that are no news.
   * @param isAwaited that it runs is told as soon as it does: what else its status shows is asked for meanwhile
   */
  async whileStarting<T>(id: string, call: () => Promise<T>, isAwaited: boolean): Promise<T> {
    this.starting.add(id);
    try {
      const started = call();
      if (isAwaited) void this.describe(id);
      return await started;
    } finally {
      this.starting.delete(id);
    }
  }

  /** Of a container that does not run yet: what its status will show. */
  private async describe(id: string): Promise<void> {
    try {
      const answer = await this.runtime.containerStatus(id);
      const entry = this.containers.get(id);
      if (entry?.status.state !== 'created' || containerState(answer.state) !== 'created') return;
      await this.take(entry.podUID, entry.status.sandboxId, answer);
    } catch (error) {
      this.logger.debug({ container: id, error: messageOf(error) }, 'container not described');
    }
  }

  /** A container was started: it counts as running at once. Resolves when CRI has told the details. */
  async containerStarted(id: string): Promise<void> {
    const entry = this.containers.get(id);
    if (entry && entry.status.state === 'created') {
      this.put({
        ...entry,
        status: { ...entry.status, state: 'running', startedAt: this.clock.now() },
        // What CRI said of it before lacks but the time of its start.
        settled: entry.answer !== undefined,
      });
    }
    await this.refresh(id);
  }

  /** Asks CRI about one container; a runtime that does not answer is left to the next list. */
  async refresh(id: string): Promise<void> {
    const entry = this.containers.get(id);
    if (!entry) return;
    try {
      const answer = await this.runtime.containerStatus(id);
      if (isAbandonedStart(answer)) {
        await this.runtime.removeContainer(id);
        return this.containerRemoved(id);
      }
      await this.take(entry.podUID, entry.status.sandboxId, answer);
    } catch (error) {
      this.logger.debug({ container: id, error: messageOf(error) }, 'container status not available');
      const latest = this.containers.get(id);
      if (latest && !latest.settled) this.put({ ...latest, settled: true });
    }
  }

  containerRemoved(id: string): void {
    const entry = this.containers.get(id);
    if (!entry) return;
    this.forgetContainer(id);
    this.changed(entry.podUID);
  }

  sandboxRemoved(id: string): void {
    const entry = this.sandboxes.get(id);
    if (!entry) return;
    this.sandboxes.delete(id);
    for (const [containerId, c] of this.containers) if (c.status.sandboxId === id) this.forgetContainer(containerId);
    this.changed(entry.pod.podUID);
  }

  // --- the list

  /** Lists everything and takes over what differs. @returns whether the runtime answered */
  relist(): Promise<boolean> {
    this.relisting ??= this.list().finally(() => {
      this.relisting = undefined;
    });
    return this.relisting;
  }

  private async list(): Promise<boolean> {
    const asked = this.seq;
    try {
      const [sandboxes, containers] = await Promise.all([
        this.runtime.listPodSandbox({ labelSelector: { [OWNER_LABEL]: this.owner } }),
        this.runtime.listContainers(),
      ]);
      const listedSandboxes = new Map(sandboxes.map((s) => [s.id, s]));
      const sandboxDiff = diffRelist(
        new Map([...this.sandboxes].map(([id, s]) => [id, { state: s.status.ready, seq: s.seq }])),
        new Map(sandboxes.map((s) => [s.id, isSandboxReady(s)])),
        asked,
      );
      const listedContainers = new Map(
        containers
          .filter((c) => listedSandboxes.has(c.podSandboxId) || this.sandboxes.has(c.podSandboxId))
          .map((c) => [c.id, c]),
      );
      const containerDiff = diffRelist(
        new Map([...this.containers].map(([id, c]) => [id, { state: this.listedState(c), seq: c.seq }])),
        new Map([...listedContainers.values()].map((c) => [c.id, containerState(c.state)])),
        asked,
      );
      // Containers end before their sandbox does; whoever looks in between must not take them for running still.
      const changed = sandboxDiff.changed.map((id) => listedSandboxes.get(id)!);
      await Promise.all([
        ...changed.filter(isSandboxReady).map((s) => this.adoptSandbox(s)),
        ...containerDiff.changed.map((id) => this.adoptContainer(listedContainers.get(id)!)),
      ]);
      await Promise.all(changed.filter((s) => !isSandboxReady(s)).map((s) => this.adoptSandbox(s)));
      for (const id of containerDiff.gone) this.containerRemoved(id);
      for (const id of sandboxDiff.gone) this.sandboxRemoved(id);
      for (const id of this.exits.keys()) if (!this.containers.has(id)) this.exits.delete(id);
      for (const id of this.ooms) if (!this.containers.has(id)) this.ooms.delete(id);
      const wasAway = this.error !== undefined;
      this.error = undefined;
      if (wasAway) {
        this.logger.info({}, 'the container runtime answers again');
        this.onReturn();
      }
      return true;
    } catch (error) {
      if (this.error === undefined)
        this.logger.warn({ error: messageOf(error) }, 'the container runtime does not answer');
      this.error = messageOf(error);
      return false;
    }
  }

  /** The state that a list is expected to show: CRI's own, which lags behind the exit that we know of. */
  private listedState(entry: ContainerEntry): string {
    return entry.answer ? containerState(entry.answer.state) : entry.status.state;
  }

  private async adoptSandbox(listed: cri.PodSandbox): Promise<void> {
    const { labels } = listed;
    const pod: PodIdentity = {
      podUID: labels[LABELS.podUID] ?? listed.metadata?.uid ?? '',
      namespace: labels[LABELS.podNamespace] ?? listed.metadata?.namespace ?? '',
      name: labels[LABELS.podName] ?? listed.metadata?.name ?? '',
    };
    await ignoreGone(this.refreshSandbox(pod, listed.id));
  }

  private async adoptContainer(listed: cri.Container): Promise<void> {
    const podUID = listed.labels[LABELS.podUID] ?? this.sandboxes.get(listed.podSandboxId)?.pod.podUID ?? '';
    await ignoreGone(
      this.runtime.containerStatus(listed.id).then((status) => {
        if (isAbandonedStart(status)) return this.runtime.removeContainer(listed.id);
        return this.take(podUID, listed.podSandboxId, status, true);
      }),
    );
  }

  private scheduleRelist(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.timer = this.clock.setTimer(this.error === undefined ? RELIST_PERIOD_MS : RETRY_MS, () => {
      void this.relist().then(() => this.scheduleRelist(signal));
    });
  }

  // --- events

  private async follow(signal: AbortSignal): Promise<void> {
    try {
      for await (const event of this.runtime.events(signal)) this.onEvent(event);
    } catch (error) {
      if (!signal.aborted) this.logger.error({ error: messageOf(error) }, 'the stream of runtime events broke');
    }
  }

  private onEvent(event: RuntimeEvent): void {
    switch (event.type) {
      case 'containerExited': {
        const sandbox = this.sandboxes.get(event.containerId);
        if (sandbox) {
          if (!sandbox.status.ready) return;
          this.sandboxes.set(event.containerId, {
            ...sandbox,
            status: { ...sandbox.status, ready: false },
            seq: ++this.seq,
          });
          this.changed(sandbox.pod.podUID);
          return;
        }
        this.exits.set(event.containerId, { exitCode: event.exitCode, finishedAt: msFromNs(event.exitedAt) });
        const entry = this.containers.get(event.containerId);
        if (!entry || entry.status.state === 'exited') return;
        this.put({ ...entry, settled: false });
        // CRI knows when it started only once our own call has returned; it is asked then.
        if (!this.starting.has(event.containerId)) void this.settle(event.containerId);
        return;
      }
      case 'containerOOM': {
        this.ooms.add(event.containerId);
        const entry = this.containers.get(event.containerId);
        if (entry?.status.state === 'exited') this.put(entry);
        return;
      }
      case 'resync':
        void this.relist();
        return;
      case 'containerStarted':
        // Our own calls tell more; this one was made by an agent before us.
        if (
          this.containers.get(event.containerId)?.status.state === 'created' &&
          !this.starting.has(event.containerId)
        ) {
          void this.refresh(event.containerId);
        }
        return;
    }
  }

  /** After an exit: its last words, and CRI's answer where none has been given since it started. */
  private async settle(id: string): Promise<void> {
    const entry = this.containers.get(id);
    if (!entry) return;
    if (!entry.answer || containerState(entry.answer.state) === 'created') return this.refresh(id);
    await this.take(entry.podUID, entry.status.sandboxId, entry.answer);
  }

  /** Takes over CRI's answer, under what the events told. */
  private async take(podUID: string, sandboxId: string, answer: cri.ContainerStatus, isNew = false): Promise<void> {
    const status = containerFromCri(answer, sandboxId);
    let { message } = status;
    const exit = this.exits.get(status.id);
    if (message === '' && (status.state === 'exited' || exit !== undefined)) {
      const known = this.containers.get(status.id)?.status.message;
      message = known || (await this.readMessage(answer, exit?.exitCode ?? status.exitCode));
    }
    // It may have been removed meanwhile.
    if (!isNew && !this.containers.has(status.id)) return;
    this.put({ podUID, status: { ...status, message }, answer, settled: true, seq: 0 });
  }

  private put(entry: ContainerEntry): void {
    const { id } = entry.status;
    const status = this.withEvents(entry.status);
    this.containers.set(id, { ...entry, status, seq: ++this.seq });
    if (status.state === 'exited') this.tellEnd(id);
    this.changed(entry.podUID);
  }

  /** CRI's status lags behind the events; both together are the truth. */
  private withEvents(status: ContainerRuntimeStatus): ContainerRuntimeStatus {
    const exit = this.exits.get(status.id);
    let result = status;
    if (exit && status.state !== 'exited') {
      const reason = exit.exitCode === 0 ? 'Completed' : 'Error';
      result = { ...status, state: 'exited', exitCode: exit.exitCode, finishedAt: exit.finishedAt, reason };
    }
    if (this.ooms.has(status.id) && result.state === 'exited' && result.exitCode !== 0) {
      result = { ...result, reason: 'OOMKilled' };
    }
    return result;
  }

  private forgetContainer(id: string): void {
    this.containers.delete(id);
    this.exits.delete(id);
    this.ooms.delete(id);
    this.tellEnd(id);
  }

  private tellEnd(id: string): void {
    this.ends.get(id)?.resolve();
    this.ends.delete(id);
  }

  private changed(podUID: string): void {
    this.pods.delete(podUID);
    this.onChange(podUID);
  }
}

/** What was removed between the list and the question is no failure. */
async function ignoreGone(asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (!(error instanceof CriError && error.code === 'NOT_FOUND')) throw error;
  }
}
