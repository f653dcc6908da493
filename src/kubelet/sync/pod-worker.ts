import type { Container, Pod, PodStatus } from '../../api/generated/types.ts';
import { isTerminalPhase } from '../../api/pod-phase.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { parseTime } from '../../api/time.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { PodSandboxConfig } from '../../cri/generated/cri.ts';
import type { Timer } from '../../lib/clock.ts';
import { assert, isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { TraceSubject } from '../../lib/pod-traces.ts';
import { readsPodIPs } from '../container/field-ref.ts';
import type { KubeletParts } from '../kubelet-parts.ts';
import type { PodIdentity } from '../pleg/pleg.ts';
import type { MountedVolumes, ProbeResult, ProbeType } from '../ports.ts';
import { rpcWords } from '../prober/exec-probe.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus, SandboxRuntimeStatus } from '../runtime-status.ts';
import { generatePodStatus, type PodStage } from '../status/generate-pod-status.ts';
import {
  activeSandbox,
  type CreateContainer,
  computePodActions,
  type KillContainer,
  type PodActions,
  podGraceSeconds,
  type RestartState,
  restartAllTrigger,
  type StartContainer,
  type Waiting,
} from './compute-pod-actions.ts';
import { ContainerFailure, ContainerOperations } from './container-operations.ts';

type Operation = 'preparing' | 'starting' | 'killing' | 'removing';

/** The right to say what is being done to a container. */
interface Claim {
  /** Nobody has claimed it since. */
  holds(): boolean;
  become(operation: Operation): void;
  release(): void;
}

/** By both clocks, ms. */
interface Instant {
  readonly wall: number;
  readonly monotonic: number;
}

/** A sandbox that containers can be created in. */
interface OpenSandbox {
  readonly id: string;
  readonly attempt: number;
  /** The pod's addresses in it; undefined while they are not known. */
  readonly ips: readonly string[] | undefined;
  /** Resolves when a container may be started in it; with undefined when it came to nothing. */
  readonly status: Promise<SandboxRuntimeStatus | undefined>;
  /** It came to nothing. */
  isLost: boolean;
}

/** Why a pod's life on this node ends. */
export type EndReason = 'Finished' | 'InitFailed' | 'DeadlineExceeded' | 'Deleted' | 'Orphaned';

/** Who was killed, why, and which probe results led to it. */
export interface KillRecord {
  /** Wall time, ms since the epoch. */
  readonly at: number;
  readonly container: string;
  readonly containerId: string;
  readonly reason: KillContainer['reason'];
  readonly message: string;
  readonly graceSeconds: number;
  readonly probeResults: readonly ProbeResult[];
}

export interface PodWorkerOptions {
  readonly pod: Pod;
  readonly parts: KubeletParts;
  /** Nothing of the pod is left on this node, and its object is gone. */
  readonly onDone: (podUID: string) => void;
  /** The API server has no such pod: it is only cleaned up after. */
  readonly orphan?: boolean;
}

/** Exit code of a process that was killed. */
const SIGKILLED = 137;
/** So long the cause of an end may come after it. */
const OOM_LAG_MS = 300;
const MAX_KILL_RECORDS = 20;
/** After failures that are nobody's back-off: doubling. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;
const FIRST_REMOVAL_RETRY_MS = 20;
/** Upstream's volume manager. */
const FIRST_VOLUME_RETRY_MS = 500;
const MAX_VOLUME_RETRY_MS = 122_000;
/** So long a fresh ErrImagePull is shown before ImagePullBackOff is. */
const PULL_ERROR_SHOWN_MS = 1000;
/** Both clocks drift apart by less than that, unless the wall clock is set. */
const CLOCK_SET_MS = 100;
/** A pod whose removal nobody waits for still gets a moment. */
const FORCED_GRACE_SECONDS = 1;

/**
 * Looks after one pod: syncing -> terminating -> terminated, never back. Woken by events, it observes, computes one plan and
 * sets it going, all in one synchronous step; what takes time runs beside it and wakes it when done. What is being done to a
 * container is part of the next observation, so that nothing is done twice.
 */
export class PodWorker {
  readonly podUID: string;
  private pod: Pod;
  private readonly parts: KubeletParts;
  private readonly operationsOf: ContainerOperations;
  private readonly logger: Logger;
  private readonly identity: PodIdentity;
  private readonly onDone: (podUID: string) => void;

  private stageNow: PodStage = 'syncing';
  private endReason: EndReason | undefined;
  /** The API server has no object of this pod (any more). */
  private isGone: boolean;
  /** Its end has been told: the status stays as it is. */
  private isFrozen: boolean;
  private isStopped = false;
  private isDone = false;
  private isScheduled = false;
  private timer: Timer | undefined;
  private forced = false;

  private readonly operations = new Map<string, Operation>();
  private readonly claims = new Map<string, symbol>();
  private readonly tasks = new Set<Promise<void>>();
  private sandboxBusy = false;
  /** Whether all sandboxes that there may be are known: not after a creation that failed. */
  private isSandboxSure = true;
  private readonly waiting = new Map<string, Waiting>();
  private readonly holds = new Map<string, number>();
  private readonly failures = new Map<string, number>();
  private readonly restarts = new Map<string, RestartState>();
  private readonly killed = new Map<string, { readonly restart: boolean; readonly at: Instant }>();
  private readonly finished = new Map<string, number>();
  /** Instances whose end has been told. */
  private readonly toldEnds = new Set<string>();
  private readonly kills: KillRecord[] = [];
  /** Sandboxes that were given the pod's host ports, or are about to be: resolves with whether they have them. By id. */
  private readonly equipped = new Map<string, Promise<boolean>>();
  /** Sandboxes that could not be given them, and are of no use. */
  private readonly unfit = new Set<string>();
  private sandboxConfigs = new Map<number, Promise<PodSandboxConfig>>();
  private readonly syncing = new AbortController();
  private readonly stopping = new AbortController();
  /** Aborted when the grace period shrinks. */
  private killRound = new AbortController();
  private graceSeconds = Number.POSITIVE_INFINITY;
  private cleanUpWanted = new PromiseGate();
  /** Wall and monotonic time of the first look, for activeDeadlineSeconds. */
  private readonly activeSince: { readonly wallAgeMs: number; readonly monotonic: number };

  constructor(options: PodWorkerOptions) {
    const { pod, parts } = options;
    this.pod = pod;
    this.parts = parts;
    this.onDone = options.onDone;
    this.podUID = pod.metadata.uid ?? '';
    this.identity = {
      podUID: this.podUID,
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name ?? '',
    };
    this.logger = parts.logger.child({ pod: this.identity.name, namespace: this.identity.namespace });
    this.operationsOf = new ContainerOperations(parts);
    this.isGone = options.orphan ?? false;
    this.isFrozen = this.isGone || isTerminalPhase(pod.status?.phase);
    this.forced = this.isGone;
    if (this.isGone) this.endReason = 'Orphaned';
    else if (this.isFrozen) this.endReason = 'Finished';
    const startTime = parseTime(pod.status?.startTime);
    this.activeSince = {
      wallAgeMs: startTime === undefined ? 0 : Math.max(0, parts.clock.now() - startTime),
      monotonic: parts.clock.monotonic(),
    };
    this.adopt();
    this.noteDeletion();
  }

  get stage(): PodStage {
    return this.stageNow;
  }

  /** Whether nothing of the pod is left on this node. */
  get done(): boolean {
    return this.isDone;
  }

  /** Whether the API server has no object of it any more. */
  get gone(): boolean {
    return this.isGone;
  }

  /** Newest first. */
  get killRecords(): readonly KillRecord[] {
    return this.kills;
  }

  /** The pod as it is known, with its newest status. */
  get current(): Pod {
    const status = this.parts.statuses.status(this.podUID);
    return status ? { ...this.pod, status } : this.pod;
  }

  get runtimeStatus(): PodRuntimeStatus {
    const status = this.parts.pleg.status(this.identity);
    if (this.unfit.size === 0) return status;
    return { ...status, sandboxes: status.sandboxes.map((s) => (this.unfit.has(s.id) ? { ...s, ready: false } : s)) };
  }

  /** A newer object from the API server. */
  update(pod: Pod): void {
    this.pod = pod;
    this.noteDeletion();
    this.wake();
  }

  /** The object is gone from the API server. */
  removed(): void {
    if (this.isGone) return;
    this.isGone = true;
    // Only we delete a pod that runs, unless with force; then nobody waits for it any more.
    this.forced = true;
    this.endReason ??= 'Deleted';
    this.noteDeletion();
    this.cleanUpWanted.open();
    this.wake();
  }

  /** Have a look soon. Cheap; any number of calls before that look count as one. */
  wake(): void {
    if (this.isScheduled || this.isStopped) return;
    this.isScheduled = true;
    queueMicrotask(() => {
      this.isScheduled = false;
      this.look();
    });
  }

  /** The agent goes down: containers live on, waits end. */
  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.syncing.abort();
    this.killRound.abort();
    this.stopping.abort();
  }

  // --- the step

  private look(): void {
    if (this.isStopped) return;
    this.timer?.cancel();
    this.timer = undefined;
    try {
      if (this.stageNow === 'syncing' && this.endReason !== undefined) this.beginTermination();
      else if (this.stageNow === 'syncing') this.sync();
      else this.observe();
    } catch (error) {
      // A bug of ours must not take the other pods with it.
      this.logger.error(
        { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
        'sync failed',
      );
      this.lookAgainIn(MAX_RETRY_MS);
    }
  }

  /** Takes note of what is, and tells it. */
  private observe(): PodRuntimeStatus {
    const status = this.runtimeStatus;
    const { clock, probes } = this.parts;
    for (const c of status.containers) {
      if (c.state !== 'exited' || this.finished.has(c.id)) continue;
      this.finished.set(c.id, clock.monotonic() - Math.max(0, clock.now() - c.finishedAt));
      if (this.hadEndedBeforeKill(c)) this.forgetKill(c);
      this.traceEnd(c);
      this.forgetOldInstances(status);
    }
    if (this.stageNow !== 'terminated' && !this.isFrozen) {
      probes.syncPod(this.pod, this.hideStarting(status), this.stageNow === 'terminating');
    }
    this.publish(status);
    return status;
  }

  /** Its end came unseen, before we made one: it is judged as what it was. Unknown, and so false, when the wall clock was set since. */
  private hadEndedBeforeKill(c: ContainerRuntimeStatus): boolean {
    const kill = this.killed.get(c.id);
    if (!kill || c.finishedAt === 0 || c.finishedAt >= kill.at.wall) return false;
    const now = this.instant();
    return Math.abs(now.wall - kill.at.wall - (now.monotonic - kill.at.monotonic)) < CLOCK_SET_MS;
  }

  private forgetKill({ id, name }: ContainerRuntimeStatus): void {
    this.killed.delete(id);
    const restart = this.restarts.get(name);
    if (restart?.clearedId === id) this.restarts.set(name, { entry: restart.entry });
  }

  private instant(): Instant {
    const { clock } = this.parts;
    return { wall: clock.now(), monotonic: clock.monotonic() };
  }

  private traceEnd(c: ContainerRuntimeStatus): void {
    const { traces } = this.parts;
    const subject = this.subjectOf(c);
    const end = Math.min(traces.monotonicOf(c.finishedAt), this.parts.clock.monotonic());
    // It ran in the section before the one that its end begins.
    if (c.startedAt > 0) {
      traces.note(subject, 'running', undefined, Math.min(end, traces.monotonicOf(c.startedAt)), end);
    }
    if (this.stageNow === 'syncing' && !this.isInit(c.name)) traces.interrupted(subject, end);
    traces.note(subject, 'exit seen', `exit code ${c.exitCode}`, end);
  }

  private forgetOldInstances(status: PodRuntimeStatus): void {
    for (const ids of [this.finished, this.killed, this.toldEnds]) {
      for (const id of ids.keys()) if (!status.containers.some((c) => c.id === id)) ids.delete(id);
    }
  }

  private sync(): void {
    const { clock, probes } = this.parts;
    const status = this.observe();
    // Nothing can be done, and what was known may no longer be so. Its return wakes us.
    if (this.parts.pleg.runtimeError !== undefined) return;
    const now = clock.monotonic();
    const plan = computePodActions({
      pod: this.pod,
      status,
      published: this.parts.statuses.acknowledged(this.podUID) ?? this.pod.status,
      verdict: (id, type) => probes.verdict(this.podUID, id, type),
      probeResults: (id, type) => this.probeResults(id, type),
      operations: this.operations,
      sandboxBusy: this.sandboxBusy,
      holds: this.holds,
      waiting: this.waiting,
      restarts: this.restarts,
      killed: this.killed,
      finishedAt: (c) => this.finished.get(c.id) ?? now,
      policy: this.parts.restartBackOff,
      activeForMs: this.activeSince.wallAgeMs + (now - this.activeSince.monotonic),
      now,
    });
    this.execute(plan, status);
  }

  private execute(plan: PodActions, status: PodRuntimeStatus): void {
    if (plan.terminate) {
      this.endReason = plan.terminate.reason;
      this.beginTermination();
      return;
    }
    for (const [name, state] of plan.restarts) this.restarts.set(name, state);
    for (const { name, waiting, isNew } of plan.backOff) {
      this.waiting.set(name, waiting);
      if (!isNew) continue;
      const { name: pod, namespace } = this.identity;
      const message = `Back-off restarting failed container ${name} in pod ${pod}_${namespace}(${this.podUID})`;
      this.parts.recorder.event(this.pod, 'Warning', 'BackOff', message, name);
      this.parts.traces.note({ podUID: this.podUID }, 'back-off', name);
    }
    if (plan.backOff.some((b) => b.isNew)) this.publish(status);

    if (plan.sandbox) {
      const volumes = this.volumes('');
      this.startAll(plan.start, volumes, this.renewSandbox(plan.sandbox, plan.kill, volumes));
    } else {
      for (const kill of plan.kill) this.killOne(kill);
      const sandbox = activeSandbox(this.pod, status);
      if (plan.start.length + plan.create.length > 0) {
        assert(sandbox, 'containers start in an active sandbox');
        this.startAll(plan.start, undefined, this.openSandbox(sandbox));
        for (const create of plan.create) this.createEarly(create, sandbox);
      }
    }
    this.removeContainers(plan.removeContainers, status);
    for (const id of plan.removeSandboxes) this.removeSandbox(id);
    if (plan.retryAt !== undefined) this.lookAgainIn(plan.retryAt - this.parts.clock.monotonic());
  }

  private lookAgainIn(ms: number): void {
    this.timer?.cancel();
    this.timer = this.parts.clock.setTimer(Math.max(0, ms), () => this.wake());
  }

  /** Something is done to a container from now on. What was done to it before, in a sandbox that is gone, has no say any more. */
  private claim(name: string, operation: Operation): Claim {
    const mine = Symbol(name);
    this.claims.set(name, mine);
    this.operations.set(name, operation);
    const holds = (): boolean => this.claims.get(name) === mine;
    return {
      holds,
      become: (next) => this.operations.set(name, next),
      release: () => {
        if (holds()) this.operations.delete(name);
      },
    };
  }

  /** Runs `work` beside the steps; wakes the worker when it ends. */
  private run(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => {
        if (!isAbort(error)) this.logger.error({ error: messageOf(error) }, 'pod operation failed');
      })
      .finally(() => {
        this.tasks.delete(task);
        this.wake();
      });
    this.tasks.add(task);
  }

  // --- status

  /**
   * Whether a container with a memory limit was killed just now, and not by us: containerd tells the cause apart from the exit, and not
   * always before it. The end is told when the cause is known, or soon.
   */
  private mayHaveRunOutOfMemory({ containers }: PodRuntimeStatus): boolean {
    const isEndedByUs =
      this.endReason !== undefined && this.endReason !== 'Finished' && this.endReason !== 'InitFailed';
    if (isEndedByUs) return false;
    const now = this.parts.clock.monotonic();
    return containers.some((c) => {
      if (c.exitCode !== SIGKILLED || c.reason === 'OOMKilled' || this.toldEnds.has(c.id) || this.killed.has(c.id))
        return false;
      if (!this.containerSpec(c.name)?.resources?.limits?.memory) return false;
      const leftMs = (this.finished.get(c.id) ?? now) + OOM_LAG_MS - now;
      if (leftMs <= 0) return false;
      this.parts.clock.setTimer(leftMs, () => this.wake());
      return true;
    });
  }

  private publish(status: PodRuntimeStatus): void {
    if (this.isFrozen || this.isGone || !this.parts.pleg.isSettled(this.podUID)) return;
    if (this.mayHaveRunOutOfMemory(status)) return;
    // An exit is told as such before it is told that its replacement waits.
    const untold = status.containers.find(
      (c) => c.state === 'exited' && !this.toldEnds.has(c.id) && this.isBackingOff(c),
    );
    if (untold) this.set(status, new Map([...this.waiting].filter(([name]) => name !== untold.name)));
    this.set(status, this.waiting);
    for (const c of status.containers) if (c.state === 'exited') this.toldEnds.add(c.id);
  }

  private isBackingOff(c: ContainerRuntimeStatus): boolean {
    return this.waiting.get(c.name)?.instanceId === c.id;
  }

  private set(status: PodRuntimeStatus, waiting: ReadonlyMap<string, Waiting>): void {
    const { statuses, probes, settings, clock } = this.parts;
    statuses.set(
      this.pod,
      generatePodStatus({
        pod: this.pod,
        status,
        previous: this.previousStatus(),
        waiting,
        verdict: (id, type) => probes.verdict(this.podUID, id, type),
        starting: this.starting(status),
        stage: this.stageNow,
        deadlineExceeded: this.endReason === 'DeadlineExceeded',
        restartsAll: restartAllTrigger(this.pod, status, this.killed) !== undefined,
        hostIP: settings.hostIP,
        now: clock.now(),
      }),
    );
  }

  /** Our own status before this one, with the conditions that belong to others as the API server has them. */
  private previousStatus(): PodStatus | undefined {
    const own = this.parts.statuses.status(this.podUID);
    if (!own || !this.pod.spec.readinessGates?.length) return own ?? this.pod.status;
    const gates = new Set(this.pod.spec.readinessGates.map((g) => g.conditionType));
    return {
      ...own,
      conditions: [
        ...(this.pod.status?.conditions ?? []).filter((c) => gates.has(c.type)),
        ...(own.conditions ?? []).filter((c) => !gates.has(c.type)),
      ],
    };
  }

  /** While its postStart hook runs a container does not count as running; nor does it count as ended if it never began. */
  private starting(status: PodRuntimeStatus): ReadonlySet<string> {
    const names = new Set<string>();
    for (const [name, operation] of this.operations) {
      if (operation !== 'starting') continue;
      const runs = status.containers.find((c) => c.name === name)?.state === 'running';
      if (!runs || this.containerSpec(name)?.lifecycle?.postStart) names.add(name);
    }
    return names;
  }

  private hideStarting(status: PodRuntimeStatus): PodRuntimeStatus {
    const starting = this.starting(status);
    if (starting.size === 0) return status;
    return { ...status, containers: status.containers.filter((c) => !starting.has(c.name) || c.state !== 'running') };
  }

  // --- sandbox

  /** Stops what there was and creates a new sandbox. Resolves with undefined when that failed: it is tried again. */
  private renewSandbox(
    wanted: NonNullable<PodActions['sandbox']>,
    kills: readonly KillContainer[],
    volumes: Promise<MountedVolumes | undefined>,
  ): Promise<OpenSandbox | undefined> {
    this.sandboxBusy = true;
    const ready = Promise.withResolvers<OpenSandbox | undefined>();
    if (wanted.changed) {
      const message = 'Pod sandbox changed, it will be killed and re-created.';
      this.parts.recorder.event(this.pod, 'Normal', 'SandboxChanged', message);
      this.parts.traces.interrupted({ podUID: this.podUID, sandbox: true });
    }
    this.run(async () => {
      try {
        for (const kill of kills) this.note(kill);
        await Promise.all(kills.map((kill) => this.kill(kill, this.syncing.signal)));
        for (const id of wanted.stop) await this.stopSandbox(id);
        // Made while the volumes are; a failure is told when it is needed.
        void this.sandboxConfig(wanted.attempt);
        // As upstream: a pod without its volumes needs no sandbox.
        if ((await volumes) && !this.syncing.signal.aborted) await this.createSandbox(wanted.attempt, ready.resolve);
      } catch (error) {
        if (!isAbort(error)) {
          this.logger.warn({ error: messageOf(error) }, 'sandbox not renewed');
          this.hold('', FIRST_RETRY_MS, MAX_RETRY_MS);
        }
      } finally {
        this.sandboxBusy = false;
        ready.resolve(undefined);
      }
    });
    return ready.promise;
  }

  /** @param open is given the sandbox as soon as containers can be created in it */
  private async createSandbox(attempt: number, open: (sandbox: OpenSandbox) => void): Promise<void> {
    const { pod } = this;
    const ready = Promise.withResolvers<SandboxRuntimeStatus | undefined>();
    const { clock, configs, cgroups, runtime, pleg, traces } = this.parts;
    // All that there were are stopped.
    this.equipped.clear();
    this.unfit.clear();
    try {
      const config = await this.sandboxConfig(attempt);
      const id = await runtime.runPodSandbox(config, '');
      // Few containers need to know its address to be created: they come first.
      open(opened(id, attempt, undefined, ready.promise));
      await clock.turn();
      cgroups.set(pod);
      const status = await pleg.refreshSandbox(this.identity, id);
      configs.writeHosts(pod, this.ipsIn(status));
      const subject = { podUID: this.podUID, sandbox: true };
      if (!(await traces.measure(subject, 'host ports', () => this.equip(status)))) return;
      this.failures.delete('');
      ready.resolve(status);
    } catch (error) {
      this.sandboxConfigs.delete(attempt);
      this.isSandboxSure = false;
      void pleg.relist();
      this.sandboxFailed(error);
    } finally {
      ready.resolve(undefined);
    }
  }

  /** Tells it; the next one is created some time later. */
  private sandboxFailed(error: unknown): void {
    if (!(error instanceof CriError && error.code === 'UNAVAILABLE') && !this.syncing.signal.aborted) {
      const message = `Failed to create pod sandbox: ${rpcWords(error)}`;
      this.parts.recorder.event(this.pod, 'Warning', 'FailedCreatePodSandBox', message);
    }
    this.hold('', FIRST_RETRY_MS, MAX_RETRY_MS);
  }

  /** Gives a sandbox the pod's host ports, once. @returns whether containers may be started in it */
  private equip(sandbox: SandboxRuntimeStatus): Promise<boolean> {
    const equipped = this.equipped.get(sandbox.id) ?? this.setHostPorts(sandbox);
    this.equipped.set(sandbox.id, equipped);
    return equipped;
  }

  /** Never rejects. */
  private async setHostPorts(sandbox: SandboxRuntimeStatus): Promise<boolean> {
    const { clock, hostPorts } = this.parts;
    const { signal } = this.syncing;
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      if (signal.aborted || this.runtimeStatus.sandboxes[0]?.id !== sandbox.id) return false;
      try {
        await hostPorts.set(this.pod, sandbox);
        return true;
      } catch (error) {
        this.logger.warn({ sandbox: sandbox.id, error: messageOf(error) }, 'host ports not set');
        const isInUse = this.runtimeStatus.containers.some((c) => c.sandboxId === sandbox.id && c.state !== 'created');
        if (!isInUse) {
          // As upstream, where the ports are part of the sandbox: all of it is made anew.
          this.unfit.add(sandbox.id);
          this.sandboxFailed(error);
          return false;
        }
        await clock.sleep(retryMs, signal).catch(() => {});
      }
    }
  }

  /** One that is there already. */
  private async openSandbox(status: SandboxRuntimeStatus): Promise<OpenSandbox> {
    const { id, attempt } = status;
    const ready = this.equip(status).then((isEquipped) => (isEquipped ? status : undefined));
    return opened(id, attempt, this.ipsIn(status), ready);
  }

  /** The pod's addresses in a sandbox. */
  private ipsIn({ ips }: SandboxRuntimeStatus): readonly string[] {
    return this.pod.spec.hostNetwork ? [this.parts.settings.hostIP] : ips;
  }

  private sandboxConfig(attempt: number): Promise<PodSandboxConfig> {
    let config = this.sandboxConfigs.get(attempt);
    if (!config) {
      config = this.operationsOf.sandboxConfig(this.pod, attempt);
      const configs = new Map([[attempt, config]]);
      this.sandboxConfigs = configs;
      // A failure is not kept: the disk may have room the next time.
      config.catch(() => configs.delete(attempt));
    }
    return config;
  }

  /**
   * Never rejects.
   * @param holder whom a failure holds back: a container's name, '' for the sandbox
   */
  private async volumes(holder: string): Promise<MountedVolumes | undefined> {
    const { volumes, recorder, traces } = this.parts;
    try {
      const setUp = () => volumes.setUp(this.pod, this.syncing.signal);
      const result = await traces.measure({ podUID: this.podUID }, 'volumes', setUp);
      if (result.ok) return result.volumes;
      for (const { message } of result.failures) recorder.event(this.pod, 'Warning', 'FailedMount', message);
    } catch (error) {
      if (isAbort(error)) return undefined;
      this.logger.warn({ error: messageOf(error) }, 'volumes not set up');
    }
    this.hold(holder, FIRST_VOLUME_RETRY_MS, MAX_VOLUME_RETRY_MS);
    return undefined;
  }

  // --- starting containers

  /**
   * Prepares all at once, then starts them in order. A start call waits for the one before it to be made; for its end only if
   * that container has a postStart hook, which is how pods make their later containers wait.
   */
  private startAll(
    starts: readonly StartContainer[],
    volumes: Promise<MountedVolumes | undefined> | undefined,
    sandbox: Promise<OpenSandbox | undefined>,
  ): void {
    let turn: Promise<unknown> = Promise.resolve();
    for (const start of starts) {
      const container = this.containerSpec(start.name);
      if (!container) continue;
      const issued = Promise.withResolvers<void>();
      const before = turn;
      const claim = this.claim(start.name, 'preparing');
      this.run(async () => {
        try {
          const prepared = await this.prepare(container, start, volumes, sandbox);
          await before;
          if (!prepared || this.syncing.signal.aborted || !claim.holds()) return;
          claim.become('starting');
          const podIP = prepared.sandbox.ips[0] ?? this.parts.settings.hostIP;
          const started = this.start(container, prepared.id, podIP, claim);
          if (!container.lifecycle?.postStart) issued.resolve();
          // Now that it is on its way, the next init container can be created.
          this.wake();
          await started;
        } finally {
          claim.release();
          issued.resolve();
        }
      });
      turn = issued.promise;
    }
  }

  private async start(container: Container, id: string, podIP: string, claim: Claim): Promise<void> {
    const { name } = container;
    try {
      await this.operationsOf.start(this.pod, container, id, podIP, this.syncing.signal);
      this.waiting.delete(name);
      this.failures.delete(name);
      this.collectGarbage();
    } catch (error) {
      if (isAbort(error) || !claim.holds()) return;
      if (!(error instanceof ContainerFailure)) {
        this.logger.warn({ container: name, error: messageOf(error) }, 'container not started');
        this.hold(name, FIRST_RETRY_MS, MAX_RETRY_MS);
        return;
      }
      this.waiting.set(name, { reason: error.reason, message: error.message });
      if (error.reason !== 'PostStartHookError') return;
      const kill: KillContainer = {
        containerId: id,
        name,
        reason: 'postStartHook',
        message: 'FailedPostStartHook',
        graceSeconds: podGraceSeconds(this.pod),
        probeResults: [],
        restart: true,
      };
      this.record(kill);
      // Whose hook failed must not go on running, whatever the runtime says to that.
      await this.persist(() => this.kill(kill, this.syncing.signal), this.syncing.signal);
    }
  }

  private createEarly(create: CreateContainer, sandbox: SandboxRuntimeStatus): void {
    const container = this.containerSpec(create.name);
    if (!container) return;
    const claim = this.claim(create.name, 'preparing');
    this.run(async () => {
      try {
        if (await this.prepare(container, create, undefined, this.openSandbox(sandbox)))
          this.waiting.delete(create.name);
      } finally {
        claim.release();
      }
    });
  }

  /** Image, volumes, sandbox, then the container. @returns undefined when something failed: the container is held */
  private async prepare(
    container: Container,
    wanted: StartContainer,
    volumesReady: Promise<MountedVolumes | undefined> | undefined,
    sandboxOpen: Promise<OpenSandbox | undefined>,
  ): Promise<{ id: string; sandbox: SandboxRuntimeStatus } | undefined> {
    const { signal } = this.syncing;
    const { name } = container;
    try {
      if (wanted.createdId !== undefined) {
        const sandbox = await (await sandboxOpen)?.status;
        if (!sandbox) return undefined;
        const isFit = await this.operationsOf.isFit(wanted.createdId, this.pod, container, this.ipsIn(sandbox));
        if (isFit) return { id: wanted.createdId, sandbox };
        if (signal.aborted) return undefined;
        await this.operationsOf.discard(wanted.createdId);
      }
      const volumes = await (volumesReady ?? this.volumes(name));
      if (!volumes || signal.aborted) return undefined;
      // A sandbox takes longer than a look at the image.
      if (volumesReady) await this.parts.clock.turn();
      const attempt = this.runtimeStatus.sandboxes[0];
      const pullConfig = attempt ? await this.sandboxConfig(attempt.attempt) : undefined;
      const { images, traces } = this.parts;
      const subject = { podUID: this.podUID, container: name, restartCount: wanted.restartCount };
      const ensureImage = () => images.ensureImage(this.pod, container, pullConfig, signal);
      const image = await traces.measure(subject, 'image', ensureImage, container.image);
      const imageRef = image.ok ? image.value.imageRef : '';
      const input = {
        pod: this.pod,
        container,
        restartCount: wanted.restartCount,
        imageRef,
        volumes,
        podIPs: undefined,
      };
      const needsIPs = readsPodIPs(container);
      const isEarly = volumesReady && image.ok && !needsIPs;
      const early = isEarly ? await this.operationsOf.config(input) : undefined;
      const sandbox = await sandboxOpen;
      if (!sandbox || sandbox.isLost) return undefined;
      if (!image.ok) {
        this.waiting.set(name, { reason: image.reason, message: image.message });
        this.holdAfterPull(container, image.reason);
        return undefined;
      }
      const known = needsIPs ? await sandbox.status : undefined;
      if ((needsIPs && !known) || signal.aborted) return undefined;
      const podIPs = known ? this.ipsIn(known) : sandbox.ips;
      const where = { id: sandbox.id, config: await this.sandboxConfig(sandbox.attempt) };
      const id = await this.operationsOf.create({ ...input, podIPs }, where, early);
      const status = await sandbox.status;
      return status && { id, sandbox: status };
    } catch (error) {
      if (isAbort(error)) return undefined;
      if (error instanceof ContainerFailure) this.waiting.set(name, { reason: error.reason, message: error.message });
      else this.logger.warn({ container: name, error: messageOf(error) }, 'container not created');
      this.hold(name, FIRST_RETRY_MS, MAX_RETRY_MS);
      return undefined;
    }
  }

  /** A failed pull is told as such for a moment; then, while its back-off lasts, as that. */
  private holdAfterPull(container: Container, reason: string): void {
    const { clock, images } = this.parts;
    const now = clock.monotonic();
    const pullAt = images.retryAt(this.pod, container);
    if (pullAt === undefined || pullAt <= now) this.hold(container.name, FIRST_RETRY_MS, MAX_RETRY_MS);
    else if (reason === 'ImagePullBackOff') this.holds.set(container.name, pullAt);
    else this.holds.set(container.name, Math.min(pullAt, now + PULL_ERROR_SHOWN_MS));
  }

  private hold(name: string, firstMs: number, maxMs: number): void {
    const failures = this.failures.get(name) ?? 0;
    this.failures.set(name, failures + 1);
    this.holds.set(name, this.parts.clock.monotonic() + Math.min(firstMs * 2 ** failures, maxMs));
  }

  // --- killing and removing

  private killOne(kill: KillContainer): void {
    const claim = this.claim(kill.name, 'killing');
    this.note(kill);
    this.run(async () => {
      try {
        const stopped = this.kill(kill, this.syncing.signal);
        // A successor need not wait for the call, which returns some time after the end: its start has nothing to do with the old one.
        const ended = kill.successor ? Promise.race([stopped, this.parts.pleg.ended(kill.containerId)]) : stopped;
        await Promise.all([ended, this.createSuccessor(kill)]);
      } catch (error) {
        if (isAbort(error)) return;
        this.logger.warn({ container: kill.name, error: messageOf(error) }, 'container not stopped');
        this.hold(kill.name, FIRST_RETRY_MS, MAX_RETRY_MS);
      } finally {
        claim.release();
      }
    });
  }

  private async createSuccessor({ name, successor }: KillContainer): Promise<void> {
    const container = this.containerSpec(name);
    const sandbox = this.runtimeStatus.sandboxes[0];
    if (!container || !successor || !sandbox) return;
    await this.prepare(container, successor, undefined, this.openSandbox(sandbox));
  }

  private note(kill: KillContainer): void {
    this.killed.set(kill.containerId, { restart: kill.restart, at: this.instant() });
    if (!this.isInit(kill.name)) this.parts.traces.interrupted({ podUID: this.podUID, container: kill.name });
    this.record(kill);
  }

  private record(kill: KillContainer): void {
    const { containerId, name, reason, message, graceSeconds, probeResults } = kill;
    const at = this.parts.clock.now();
    this.kills.unshift({ at, container: name, containerId, reason, message, graceSeconds, probeResults });
    if (this.kills.length > MAX_KILL_RECORDS) this.kills.pop();
    this.logger.info({ container: name, containerId, reason, graceSeconds, probeResults }, message);
  }

  private kill(kill: KillContainer, signal: AbortSignal): Promise<void> {
    return this.operationsOf.kill({
      pod: this.pod,
      container: this.containerSpec(kill.name),
      id: kill.containerId,
      name: kill.name,
      message: kill.message,
      graceSeconds: kill.graceSeconds,
      runPreStop: true,
      podIP: this.runtimeStatus.sandboxes[0]?.ips[0],
      signal,
    });
  }

  private removeContainers(ids: readonly string[], status: PodRuntimeStatus): void {
    if (ids.length === 0) return;
    const names = new Set(ids.map((id) => status.containers.find((c) => c.id === id)?.name ?? ''));
    for (const name of names) if (!this.operations.has(name)) this.operations.set(name, 'removing');
    this.run(async () => {
      let current = '';
      try {
        for (const id of ids) {
          current = id;
          await this.parts.runtime.removeContainer(id);
          this.parts.pleg.containerRemoved(id);
          this.failures.delete(id);
          this.holds.delete(id);
        }
      } catch (error) {
        this.logger.debug({ error: messageOf(error) }, 'container not removed');
        // containerd may still be cleaning up after its end.
        this.hold(current, FIRST_REMOVAL_RETRY_MS, MAX_RETRY_MS);
      } finally {
        for (const name of names) if (this.operations.get(name) === 'removing') this.operations.delete(name);
      }
    });
  }

  private removeSandbox(id: string): void {
    const key = `sandbox ${id}`;
    if (this.operations.has(key)) return;
    this.operations.set(key, 'removing');
    this.run(async () => {
      try {
        await this.parts.runtime.removePodSandbox(id);
        this.parts.pleg.sandboxRemoved(id);
      } catch (error) {
        this.logger.debug({ error: messageOf(error) }, 'sandbox not removed');
        await this.parts.clock.sleep(FIRST_RETRY_MS, this.syncing.signal);
      } finally {
        this.operations.delete(key);
      }
    });
  }

  private collectGarbage(): void {
    const status = this.runtimeStatus;
    const dead = status.containers.filter((c) => c.state === 'exited').map((c) => c.name);
    if (new Set(dead).size === dead.length) return;
    this.parts.gc.collect(this.pod, status).catch((error: unknown) => {
      this.logger.debug({ error: messageOf(error) }, 'dead containers not collected');
    });
  }

  // --- the end

  private noteDeletion(): void {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.pod.metadata;
    if (deletionTimestamp) {
      this.endReason ??= 'Deleted';
      this.parts.traces.close(this.podUID);
      this.cleanUpWanted.open();
    }
    const asked = this.forced ? FORCED_GRACE_SECONDS : deletionGracePeriodSeconds;
    if (asked !== undefined) this.shrinkGrace(asked);
  }

  /** It only shrinks. */
  private shrinkGrace(seconds: number): void {
    const grace = Math.max(FORCED_GRACE_SECONDS, seconds);
    if (grace >= this.graceSeconds) return;
    this.graceSeconds = grace;
    this.killRound.abort();
  }

  private beginTermination(): void {
    this.stageNow = 'terminating';
    this.syncing.abort();
    // Whoever deletes a pod says how much time it gets, be it more than the pod says itself.
    if (this.graceSeconds === Number.POSITIVE_INFINITY) this.shrinkGrace(podGraceSeconds(this.pod));
    this.logger.info({ reason: this.endReason }, 'pod terminates');
    if (this.endReason === 'DeadlineExceeded') {
      const message = 'Pod was active on the node longer than the specified deadline';
      this.parts.recorder.event(this.pod, 'Normal', 'DeadlineExceeded', message);
    }
    this.observe();
    void this.terminate().catch((error: unknown) => {
      if (!isAbort(error)) this.logger.error({ error: messageOf(error) }, 'pod not terminated');
    });
  }

  private async terminate(): Promise<void> {
    const { probes, hostPorts, volumes } = this.parts;
    while (this.tasks.size > 0) await Promise.allSettled([...this.tasks]);
    if (this.parts.beforeStop && !this.isFrozen) await this.persist(() => this.parts.beforeStop!(this.pod));
    await this.persist(() => this.findAll());
    await this.persist(() => this.stopContainers());
    await this.persist(() => this.stopSandboxes());
    await this.persist(() => hostPorts.remove(this.podUID));
    probes.removePod(this.podUID);
    this.stageNow = 'terminated';
    await this.untilSettled();
    this.observe();
    await this.persist(() => volumes.tearDown(this.podUID));
    if (this.isGone || this.pod.metadata.deletionTimestamp) this.cleanUpWanted.open();
    await this.cleanUpWanted.opened;
    // What goes now is no news.
    this.isFrozen = true;
    await this.persist(() => this.removeAll());
    this.isDone = true;
    if (this.isGone) this.parts.statuses.forget(this.podUID);
    else this.parts.statuses.finishDeletion(this.pod);
    this.onDone(this.podUID);
  }

  /** Does `work` until it succeeds. Rejects only when the signal aborts: by default, when the agent stops. */
  private async persist(work: () => Promise<void>, signal = this.stopping.signal): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        this.logger.warn({ error: messageOf(error) }, 'clean-up of the pod failed, trying again');
        await this.parts.clock.sleep(retryMs, signal);
      }
    }
  }

  /** What calls without an answer, ours or those of an agent before us, have brought about must be known before the end. */
  private async findAll(): Promise<void> {
    const isSure = this.isSandboxSure && this.runtimeStatus.containers.every((c) => c.state !== 'created');
    if (!isSure && !(await this.parts.pleg.relist())) throw new Error('the container runtime does not answer');
  }

  /** Until none runs. A grace period that shrinks begins another round. */
  private async stopContainers(): Promise<void> {
    const told = new Set<string>();
    for (;;) {
      const running = this.runtimeStatus.containers.filter((c) => c.state === 'running' || c.state === 'unknown');
      if (running.length === 0) return;
      this.killRound = new AbortController();
      const { signal } = this.killRound;
      try {
        await this.stopRound(running, told, signal);
      } catch (error) {
        if (!signal.aborted || this.isStopped) throw error;
      }
    }
  }

  private async stopRound(
    running: readonly ContainerRuntimeStatus[],
    told: Set<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const stopped = new Map<string, Promise<void>>();
    const sidecars = (this.pod.spec.initContainers ?? []).filter(isSidecar).map((c) => c.name);
    const apps = this.pod.spec.containers.map((c) => c.name);
    // Sidecars last, in reverse order: each waits for all apps and for the sidecars after it.
    const order = [...running].sort((a, b) => sidecars.indexOf(b.name) - sidecars.indexOf(a.name));
    order.sort((a, b) => Number(sidecars.includes(a.name)) - Number(sidecars.includes(b.name)));
    for (const c of order) {
      const position = sidecars.indexOf(c.name);
      const first = position < 0 ? [] : [...apps, ...sidecars.slice(position + 1)];
      const turn = Promise.allSettled(first.map((name) => stopped.get(name)));
      const isNew = !told.has(c.id);
      told.add(c.id);
      const message = `Stopping container ${c.name}`;
      if (isNew) {
        this.record({
          containerId: c.id,
          name: c.name,
          reason: 'podTerminating',
          message,
          graceSeconds: this.graceSeconds,
          probeResults: [],
          restart: false,
        });
      }
      stopped.set(
        c.name,
        this.operationsOf.kill({
          pod: this.pod,
          container: this.containerSpec(c.name),
          id: c.id,
          name: c.name,
          message: isNew ? message : undefined,
          graceSeconds: this.graceSeconds,
          runPreStop: isNew,
          podIP: this.runtimeStatus.sandboxes[0]?.ips[0],
          turn: position < 0 ? undefined : turn,
          signal,
        }),
      );
    }
    const results = await Promise.allSettled(stopped.values());
    const failed = results.find((r) => r.status === 'rejected');
    if (failed) throw failed.reason;
  }

  private async stopSandboxes(): Promise<void> {
    for (const sandbox of this.runtimeStatus.sandboxes) await this.stopSandbox(sandbox.id);
  }

  private async stopSandbox(id: string): Promise<void> {
    const { runtime, pleg } = this.parts;
    try {
      await runtime.stopPodSandbox(id);
      await pleg.refreshSandbox(this.identity, id);
    } catch (error) {
      if (!(error instanceof CriError && error.code === 'NOT_FOUND')) throw error;
      pleg.sandboxRemoved(id);
    }
  }

  /** The ends of all containers are known within a moment; the last status waits for them. */
  private async untilSettled(): Promise<void> {
    for (const c of this.runtimeStatus.containers) {
      if (!this.parts.pleg.isSettled(this.podUID)) await this.parts.pleg.refresh(c.id);
    }
  }

  /** The oldest sandbox first: were we to die in between, the older one's containers would count as the latest. */
  private async removeAll(): Promise<void> {
    const { runtime, pleg, gc } = this.parts;
    for (const sandbox of this.runtimeStatus.sandboxes.toReversed()) {
      await runtime.removePodSandbox(sandbox.id);
      pleg.sandboxRemoved(sandbox.id);
    }
    await gc.removePod(this.identity);
  }

  // --- small things

  /** Whether this is an init container that ends before the next one begins. */
  private isInit(name: string): boolean {
    return this.pod.spec.initContainers?.some((c) => c.name === name && !isSidecar(c)) ?? false;
  }

  private subjectOf({ name, restartCount }: ContainerRuntimeStatus): TraceSubject {
    return { podUID: this.podUID, container: name, restartCount };
  }

  private containerSpec(name: string): Container | undefined {
    return (
      this.pod.spec.containers.find((c) => c.name === name) ??
      this.pod.spec.initContainers?.find((c) => c.name === name)
    );
  }

  private probeResults(containerId: string, type: ProbeType): readonly ProbeResult[] {
    const record = this.parts.probes.records(this.podUID).find((r) => r.containerId === containerId && r.type === type);
    // Those that counted for nothing led to nothing.
    const counted = record?.results.filter((r) => r.outcome !== 'unknown') ?? [];
    return counted.slice(0, record?.consecutive).toReversed();
  }

  /**
   * What a restarted agent must know again: how far a container's restart delay had grown. The number of restarts tells, as if
   * none of them had been forgiven.
   */
  private adopt(): void {
    const status = this.runtimeStatus;
    const { clock, restartBackOff: policy, traces } = this.parts;
    // The newest last.
    for (const c of status.containers.toReversed()) traces.named(c.id, this.subjectOf(c));
    const offset = clock.monotonic() - clock.now();
    for (const c of status.containers) {
      if (c.restartCount === 0 || this.restarts.has(c.name)) continue;
      const delayMs = Math.min(policy.initialMs * 2 ** Math.min(c.restartCount - 1, 20), policy.maxMs);
      this.restarts.set(c.name, { entry: { delayMs, bumpedAt: c.createdAt + offset } });
    }
    const sandbox = activeSandbox(this.pod, status);
    if (sandbox && !this.isFrozen) this.run(() => this.equip(sandbox).then(() => {}));
  }
}

function opened(
  id: string,
  attempt: number,
  ips: readonly string[] | undefined,
  status: Promise<SandboxRuntimeStatus | undefined>,
): OpenSandbox {
  const sandbox: OpenSandbox = { id, attempt, ips, status, isLost: false };
  void status.then((known) => {
    sandbox.isLost = known === undefined;
  });
  return sandbox;
}

/** A promise that somebody else resolves, once. */
class PromiseGate {
  readonly opened: Promise<void>;
  readonly open: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.opened = promise;
    this.open = resolve;
  }
}
