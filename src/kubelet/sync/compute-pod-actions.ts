import type { Container, Pod, PodStatus } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { type BackOffEntry, type BackOffPolicy, backOffRemainingMs, bumpBackOff } from '../../lib/back-off.ts';
import { containerHash } from '../container-hash.ts';
import type { ProbeResult, ProbeType, ProbeVerdict, WaitingReason } from '../ports.ts';
import { isRestartingAll, RESTARTING_ALL } from '../restarting-all.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus, SandboxRuntimeStatus } from '../runtime-status.ts';
import { decideOnExit, effectiveRestartPolicy, mayRestartAll } from './restart-policy.ts';

/** What a status shows of a container that waits. */
export interface Waiting {
  readonly reason: WaitingReason;
  readonly message: string;
  /** The ended instance whose replacement waits (CrashLoopBackOff): of a later one it says nothing. */
  readonly instanceId?: string | undefined;
}

/** What is remembered of one container's restarts. */
export interface RestartState {
  readonly entry?: BackOffEntry | undefined;
  /** The instance whose replacement has been through the back-off already, so that a second attempt at it costs nothing more. */
  readonly clearedId?: string | undefined;
}

/** Everything that the plan depends on. */
export interface PodActionInput {
  readonly pod: Pod;
  readonly status: PodRuntimeStatus;
  /** What the API server is known to hold: for containers that the runtime has no more. */
  readonly published: PodStatus | undefined;
  readonly verdict: (containerId: string, type: ProbeType) => ProbeVerdict;
  /** The newest results of a probe, oldest first: the reason of a kill. */
  readonly probeResults: (containerId: string, type: ProbeType) => readonly ProbeResult[];
  /** Containers (by name) that something is being done to: they are left alone. `starting`: the start call has been made. */
  readonly operations: ReadonlyMap<string, 'preparing' | 'starting' | 'killing' | 'removing'>;
  /** The sandbox is being stopped or created. */
  readonly sandboxBusy: boolean;
  /** Not before this (monotonic ms), because the last attempt failed; by container name, '' for the sandbox; removals by container id. */
  readonly holds: ReadonlyMap<string, number>;
  /** Why containers wait, as it stands. */
  readonly waiting: ReadonlyMap<string, Waiting>;
  readonly restarts: ReadonlyMap<string, RestartState>;
  /** Instances that we killed, and whether they shall be replaced. */
  readonly killed: ReadonlyMap<string, { readonly restart: boolean }>;
  /** When an exited instance ended, monotonic ms. */
  readonly finishedAt: (container: ContainerRuntimeStatus) => number;
  readonly policy: BackOffPolicy;
  /** Since status.startTime, for activeDeadlineSeconds. */
  readonly activeForMs: number;
  /** Monotonic ms. */
  readonly now: number;
}

export type KillReason =
  | 'livenessProbe'
  | 'startupProbe'
  | 'definitionChanged'
  | 'unknownState'
  | 'sandboxChanged'
  | 'restartAllContainers'
  | 'postStartHook'
  | 'podTerminating';

/** One kill, one reason. */
export interface KillContainer {
  readonly containerId: string;
  readonly name: string;
  readonly reason: KillReason;
  /** Text of the event `Killing`. */
  readonly message: string;
  readonly graceSeconds: number;
  /** The probe results that led to it, oldest first. */
  readonly probeResults: readonly ProbeResult[];
  /** Whether the instance shall be replaced once it is gone. */
  readonly restart: boolean;
  /** Its replacement, where that is to be started at once: it can be created while the instance stops. */
  readonly successor?: CreateContainer | undefined;
}

export interface CreateContainer {
  readonly name: string;
  readonly restartCount: number;
}

export interface StartContainer extends CreateContainer {
  /** Created before (early, or by an agent that died): only the start is left. */
  readonly createdId?: string | undefined;
}

/** What to do with one pod now. Nothing is decided later: whoever carries it out observes and asks again. */
export interface PodActions {
  /** The pod is over: stop everything and report its end. */
  readonly terminate: { readonly reason: 'Finished' | 'InitFailed' | 'DeadlineExceeded' } | undefined;
  /** After `kill`: stop these sandboxes, then create one. `changed`: there was one before. */
  readonly sandbox:
    | { readonly attempt: number; readonly changed: boolean; readonly stop: readonly string[] }
    | undefined;
  readonly kill: readonly KillContainer[];
  /** In this order; with `sandbox`, in the new one. */
  readonly start: readonly StartContainer[];
  /** Create only; the start comes when their turn does. */
  readonly create: readonly CreateContainer[];
  /** In this order. */
  readonly removeContainers: readonly string[];
  readonly removeSandboxes: readonly string[];
  /** Containers in back-off; an `isNew` one gets the event `BackOff`. */
  readonly backOff: readonly { readonly name: string; readonly waiting: Waiting; readonly isNew: boolean }[];
  readonly restarts: ReadonlyMap<string, RestartState>;
  /** Look again then, if nothing happens before; monotonic ms. */
  readonly retryAt: number | undefined;
}

/** How long a container's restart waits unless configured: 10 s doubling to 5 min, forgotten after 10 min. */
export const CRASH_LOOP_BACK_OFF: BackOffPolicy = { initialMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 };

/**
 * RestartAllContainers knows no back-off. Upstream's kubelet looks at its containers once a second, so one that always asks for it does
 * not keep the machine busy; nor must it here, where an exit is acted upon at once.
 */
const RESTART_ALL_PERIOD_MS = 1000;

/** When a pod has no terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;

/**
 * The heart of the kubelet: what to do with a pod, from what is. A pure function.
 * Rules: KUBELET-SEMANTICS, upstream `kuberuntime_manager.go` computePodActions; where ours differ, DESIGN says so.
 */
export function computePodActions(input: PodActionInput): PodActions {
  return new Planner(input).plan();
}

/** The newest sandbox, if containers can be started in it. @returns undefined when another one is needed */
export function activeSandbox(pod: Pod, status: PodRuntimeStatus): SandboxRuntimeStatus | undefined {
  const newest = status.sandboxes[0];
  if (!newest?.ready) return undefined;
  if (status.sandboxes.filter((s) => s.ready).length > 1) return undefined;
  const hostNetwork = pod.spec.hostNetwork ?? false;
  if (newest.hostNetwork !== hostNetwork) return undefined;
  return hostNetwork || newest.ips.length > 0 ? newest : undefined;
}

/** The exited container of the active sandbox whose rule demands that all containers start anew. */
export function restartAllTrigger(
  pod: Pod,
  status: PodRuntimeStatus,
  killed: PodActionInput['killed'],
): ContainerRuntimeStatus | undefined {
  if (!mayRestartAll(pod)) return undefined;
  const sandbox = activeSandbox(pod, status);
  for (const c of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const newest = status.containers.find(
      (s) => s.name === c.name && s.sandboxId === sandbox?.id && s.state !== 'created',
    );
    if (newest?.state !== 'exited' || killed.has(newest.id)) continue;
    if (decideOnExit(pod, c, newest.exitCode) === 'restartAllContainers') return newest;
  }
  return undefined;
}

class Planner {
  private readonly in: PodActionInput;
  private readonly pod: Pod;
  private readonly sandbox: SandboxRuntimeStatus | undefined;
  private readonly kill: KillContainer[] = [];
  private readonly start: StartContainer[] = [];
  private readonly create: CreateContainer[] = [];
  private readonly remove: string[] = [];
  private readonly backOff: PodActions['backOff'][number][] = [];
  private readonly restarts = new Map<string, RestartState>();
  private retryAt: number | undefined;

  constructor(input: PodActionInput) {
    this.in = input;
    this.pod = input.pod;
    this.sandbox = activeSandbox(input.pod, input.status);
  }

  plan(): PodActions {
    const { activeDeadlineSeconds } = this.pod.spec;
    if (activeDeadlineSeconds !== undefined) {
      const leftMs = activeDeadlineSeconds * 1000 - this.in.activeForMs;
      if (leftMs <= 0) return this.end('DeadlineExceeded');
      this.lookAgainAt(this.in.now + leftMs);
    }
    if (this.in.sandboxBusy) return this.result();
    if (!this.sandbox) return this.planSandbox();

    const trigger = restartAllTrigger(this.pod, this.in.status, this.in.killed);
    if (trigger) return this.planRestartAll(trigger);

    const initialized = this.isInitialized();
    const initDone = initialized ? this.keepSidecars(this.initContainers.length) : this.planInit();
    if (initDone === 'failed') return this.end('InitFailed');
    if (initDone && !this.planApps()) return this.end('Finished');
    if (this.in.operations.size === 0) {
      if (initialized) this.removeFinishedInit();
      this.removeLeftovers(this.sandbox);
    }
    return this.result();
  }

  private get initContainers(): Container[] {
    return this.pod.spec.initContainers ?? [];
  }

  private result(extra: Partial<PodActions> = {}): PodActions {
    return {
      terminate: undefined,
      sandbox: undefined,
      kill: this.kill,
      start: this.start,
      create: this.create,
      removeContainers: this.remove.filter((id) => !this.isHeldBack(id)),
      removeSandboxes: this.emptySandboxes(),
      backOff: this.backOff,
      restarts: this.restarts,
      retryAt: this.retryAt,
      ...extra,
    };
  }

  /** Nothing but the end. */
  private end(reason: 'Finished' | 'InitFailed' | 'DeadlineExceeded'): PodActions {
    return {
      terminate: { reason },
      sandbox: undefined,
      kill: [],
      start: [],
      create: [],
      removeContainers: [],
      removeSandboxes: [],
      backOff: [],
      restarts: new Map(),
      retryAt: undefined,
    };
  }

  // --- the sandbox

  private planSandbox(): PodActions {
    const { status } = this.in;
    const newest = status.sandboxes[0];
    const apps = this.pod.spec.containers.filter((c) => {
      const last = this.lastState(c);
      return last?.state !== 'exited' || this.decide(c, last) !== 'stay';
    });
    // A pod that has run is not begun anew when nothing would be started in it, nor when its policy is to run once.
    const hasRun = status.containers.some((c) => c.state !== 'created');
    const hasRunApps = this.pod.spec.containers.some((c) => this.lastState(c) !== undefined);
    const once = (this.pod.spec.restartPolicy ?? 'Always') === 'Never';
    if (newest && ((once && hasRun) || (apps.length === 0 && hasRunApps))) return this.end('Finished');

    if (this.isHeldBack('')) {
      // What was created and never started is no instance that the next one would be a restart of.
      if (this.in.operations.size === 0) {
        this.remove.push(
          ...status.containers.filter((c) => c.state === 'created' && !this.isHeldBack(c.name)).map((c) => c.id),
        );
      }
      return this.result();
    }
    for (const c of status.containers) {
      if (c.state === 'running' || c.state === 'unknown') this.kill.push(this.killFor(c, 'sandboxChanged'));
    }
    const first = this.initContainers[0];
    for (const c of first ? [first] : apps) this.wantStart(c, this.lastState(c), undefined);
    return this.result({
      sandbox: {
        attempt: newest ? newest.attempt + 1 : 0,
        changed: newest !== undefined,
        stop: status.sandboxes.filter((s) => s.ready || s === newest).map((s) => s.id),
      },
    });
  }

  /** Old sandboxes that hold nothing any more. */
  private emptySandboxes(): string[] {
    if (!this.sandbox || this.in.operations.size > 0) return [];
    const used = new Set(this.in.status.containers.map((c) => c.sandboxId));
    return this.in.status.sandboxes.filter((s) => s.id !== this.sandbox!.id && !used.has(s.id)).map((s) => s.id);
  }

  /** What old sandboxes hold for nobody: what was never started, and init containers that have run anew since. */
  private removeLeftovers(active: SandboxRuntimeStatus): void {
    for (const c of this.in.status.containers) {
      if (c.sandboxId === active.id) continue;
      const spec = this.initContainers.find((i) => i.name === c.name);
      const hasSuccessor = spec && !isSidecar(spec) && this.instance(spec) !== undefined;
      if (c.state === 'created' || (c.state === 'exited' && hasSuccessor)) this.remove.push(c.id);
    }
  }

  // --- init containers

  /** Whether any app container of the active sandbox has been started: then all init containers have succeeded. */
  private isInitialized(): boolean {
    return this.pod.spec.containers.some((c) => {
      if (this.isStarting(c)) return true;
      return this.in.status.containers.some(
        (s) => s.name === c.name && s.sandboxId === this.sandbox?.id && s.state !== 'created',
      );
    });
  }

  /**
   * The last init container that has run in the active sandbox says how far the pod is (the ones before may have been removed).
   * @returns whether the app containers may run
   */
  private planInit(): boolean | 'failed' {
    const containers = this.initContainers;
    if (containers.length === 0) return true;
    const at = containers.findLastIndex((c) => this.instance(c) !== undefined || this.isStarting(c));
    const current = containers[at];
    if (!current) return this.turnOf(0);

    this.keepSidecars(at);
    const instance = this.instance(current);
    // The exit may be told before the call that started it returns; then the next one need not wait for that.
    const isDone = instance?.state === 'exited' && instance.exitCode === 0 && !isSidecar(current);
    if (!instance || (this.isBusy(current) && !isDone)) return this.waitFor(at);
    if (isSidecar(current)) {
      this.keepSidecar(current);
      const started = instance.state === 'running' && this.in.verdict(instance.id, 'startup') === 'success';
      if (started && !this.kill.some((k) => k.name === current.name)) return this.turnOf(at + 1);
      return instance.state === 'running' ? this.waitFor(at) : false;
    }
    if (instance.state === 'running') return this.waitFor(at);
    if (instance.state === 'unknown') {
      this.kill.push(this.killFor(instance, 'unknownState', { restart: true }));
      return false;
    }
    if (instance.exitCode === 0) return this.turnOf(at + 1);
    if (this.decide(current, instance) === 'stay') return 'failed';
    const created = this.createdInstance(current);
    if (created !== 'stale') this.wantStart(current, instance, created?.id);
    return false;
  }

  /** Starts init container `index`, or says that the apps' turn has come. */
  private turnOf(index: number): boolean {
    const next = this.initContainers[index];
    if (!next) return true;
    const created = this.createdInstance(next);
    if (created === 'stale' || this.isBusy(next)) return false;
    this.wantStart(next, this.lastState(next), created?.id);
    return false;
  }

  /**
   * Nothing to do but to have the next ones ready when `index` is done, and, one at a time, those after them whose image must not be
   * asked for: the processor has time for that now.
   */
  private waitFor(index: number): false {
    const current = this.initContainers[index]!;
    if (this.in.operations.get(current.name) === 'killing') return false;
    const after = this.initContainers[index + 1];
    const next = after ? [after] : this.pod.spec.containers;
    const later = after ? [...this.initContainers.slice(index + 2), ...this.pod.spec.containers] : [];
    for (const c of next) if (this.isToBeCreated(c)) this.createAhead(c);
    const isBusy = this.create.length > 0 || [...this.in.operations.values()].includes('preparing');
    const one = isBusy ? undefined : later.find((c) => this.isToBeCreated(c) && this.hasImageOf(c));
    if (one) this.createAhead(one);
    return false;
  }

  private isToBeCreated(c: Container): boolean {
    return !this.isBusy(c) && !this.isHeld(c) && this.createdInstance(c) === undefined && canCreateEarly(this.pod, c);
  }

  private createAhead(c: Container): void {
    this.create.push(this.nextOf(c));
  }

  /** Whether another container of this pod has the same image already. */
  private hasImageOf({ image, imagePullPolicy }: Container): boolean {
    if (imagePullPolicy === 'Always') return false;
    const others = [...this.initContainers, ...this.pod.spec.containers].filter((c) => c.image === image);
    return others.some(({ name }) => this.in.status.containers.some((c) => c.name === name));
  }

  /** Keeps the sidecars before `end` running. */
  private keepSidecars(end: number): true {
    for (const c of this.initContainers.slice(0, end)) {
      if (isSidecar(c) && !this.isBusy(c)) this.keepSidecar(c);
    }
    return true;
  }

  private keepSidecar(container: Container): void {
    const instance = this.instance(container);
    if (!instance || instance.state === 'exited') {
      const created = this.createdInstance(container);
      if (created !== 'stale') this.wantStart(container, this.lastState(container), created?.id);
    } else if (instance.state === 'unknown') {
      this.kill.push(this.killFor(instance, 'unknownState', { restart: true }));
    } else if (!this.isHeld(container)) {
      this.killIfUnfit(container, instance, `Init container ${container.name}`, true);
    }
  }

  private removeFinishedInit(): void {
    // Oldest first, so that what is left is always the newest.
    for (const c of this.in.status.containers.toReversed()) {
      if (c.state !== 'exited') continue;
      const spec = this.initContainers.find((i) => i.name === c.name);
      if (!spec || isSidecar(spec)) continue;
      // The API server must hold the end of the newest instance, so that a restarted agent can still tell it.
      const newest = this.in.status.containers.find((o) => o.name === c.name);
      const shown = this.in.published?.initContainerStatuses?.find((s) => s.name === c.name);
      if (c === newest && !shown?.state?.terminated?.containerID?.endsWith(c.id)) continue;
      this.remove.push(c.id);
    }
  }

  // --- app containers

  /** @returns false when none runs and none is to be started: the pod has finished */
  private planApps(): boolean {
    let kept = 0;
    for (const c of this.pod.spec.containers) {
      if (this.isBusy(c)) {
        kept++;
        continue;
      }
      const created = this.createdInstance(c);
      const last = this.lastState(c);
      if (created === 'stale') kept++;
      else if (!last) kept += this.wantFirstStart(c, created?.id) ? 1 : 0;
      else if (last.state === 'unknown') {
        this.kill.push(this.killFor(last, 'unknownState', { restart: true }));
        kept++;
      } else if (last.state === 'exited') {
        if (this.decide(c, last) === 'stay') continue;
        kept++;
        this.wantStart(c, last, created?.id);
      } else {
        // Also one that is killed for good keeps the pod going until it is gone.
        kept++;
        const restart = effectiveRestartPolicy(this.pod, c) !== 'Never';
        if (!this.isHeld(c)) this.killIfUnfit(c, last, `Container ${c.name}`, restart, ', will be restarted');
      }
    }
    return kept > 0;
  }

  /** A container that the runtime knows nothing of: new, unless the API server remembers an end after which it must not run again. */
  private wantFirstStart(container: Container, createdId: string | undefined): boolean {
    const { published } = this.in;
    const shown = published?.containerStatuses?.find((s) => s.name === container.name);
    const end = shown?.state?.terminated ?? shown?.lastState?.terminated;
    const isAnew = end?.reason === RESTARTING_ALL || isRestartingAll(published);
    if (end && !createdId && !isAnew && decideOnExit(this.pod, container, end.exitCode) === 'stay') return false;
    this.wantStart(container, undefined, createdId);
    return true;
  }

  /** Kills a running container whose definition changed or whose probes failed. */
  private killIfUnfit(
    container: Container,
    instance: ContainerRuntimeStatus,
    subject: string,
    restart: boolean,
    suffix = '',
  ): void {
    const add = (reason: KillReason, what: string, again: boolean, type?: ProbeType): void => {
      const startsAtOnce = again && this.clearRestartAfterKill(container, instance);
      const mayCreate = type && startsAtOnce && this.isToBeCreated(container) && this.hasImageOf(container);
      this.kill.push(
        this.killFor(instance, reason, {
          restart: again,
          successor: mayCreate ? this.nextOf(container) : undefined,
          message: `${subject} ${what}${again ? suffix : ''}`,
          probe: type && container[`${type}Probe`],
          probeResults: type ? this.in.probeResults(instance.id, type) : [],
        }),
      );
    };
    if (instance.hash !== containerHash(container)) add('definitionChanged', 'definition changed', true);
    else if (this.in.verdict(instance.id, 'liveness') === 'failure') {
      add('livenessProbe', 'failed liveness probe', restart, 'liveness');
    } else if (this.in.verdict(instance.id, 'startup') === 'failure') {
      add('startupProbe', 'failed startup probe', restart, 'startup');
    }
  }

  // --- restartPolicyRules: RestartAllContainers

  /**
   * Stops all, then removes all: with nothing left in the sandbox the pod begins with its first init container. Nothing is removed
   * before the API server knows why, or nobody would know later that it shall run again, and how often it has. The one that asked for
   * it goes last, so that an agent that dies in between carries on.
   */
  private planRestartAll(trigger: ContainerRuntimeStatus): PodActions {
    const { containers } = this.in.status;
    if (this.in.operations.size > 0) return this.result();
    for (const c of containers) {
      if (c.state !== 'running' && c.state !== 'unknown') continue;
      this.kill.push({ ...this.killFor(c, 'restartAllContainers', { message: 'killing' }), graceSeconds: 0 });
    }
    const mayRemoveAt = this.in.finishedAt(trigger) + RESTART_ALL_PERIOD_MS;
    if (trigger.restartCount > 0 && this.in.now < mayRemoveAt) {
      this.lookAgainAt(mayRemoveAt);
      return this.result();
    }
    const isKnown = isRestartingAll(this.in.published);
    if (isKnown && this.kill.length === 0 && !containers.some(({ id }) => this.isHeldBack(id))) {
      // Oldest first, so that what is left is always the newest.
      const others = containers.filter((c) => c !== trigger).toReversed();
      this.remove.push(...others.map((c) => c.id), trigger.id);
    }
    return this.result();
  }

  // --- shared

  /** The newest instance in the active sandbox that has been started. */
  private instance(container: Container): ContainerRuntimeStatus | undefined {
    return this.in.status.containers.find(
      (c) => c.name === container.name && c.sandboxId === this.sandbox?.id && c.state !== 'created',
    );
  }

  /** The newest instance of any sandbox that has been started. */
  private lastState(container: Container): ContainerRuntimeStatus | undefined {
    return this.in.status.containers.find((c) => c.name === container.name && c.state !== 'created');
  }

  /** What has been created in the active sandbox and not been started; `stale` when its definition is not today's. */
  private createdInstance(container: Container): ContainerRuntimeStatus | 'stale' | undefined {
    const created = this.in.status.containers.find(
      (c) => c.name === container.name && c.sandboxId === this.sandbox?.id && c.state === 'created',
    );
    if (!created || created.hash === containerHash(container)) return created;
    if (!this.remove.includes(created.id) && !this.isBusy(container)) this.remove.push(created.id);
    return 'stale';
  }

  private isBusy(container: Container): boolean {
    return this.in.operations.has(container.name);
  }

  /** Whether it is being started in the active sandbox. A call that hangs may still be about one before. */
  private isStarting(container: Container): boolean {
    if (this.in.operations.get(container.name) !== 'starting') return false;
    return this.in.status.containers.some((c) => c.name === container.name && c.sandboxId === this.sandbox?.id);
  }

  private isHeld(container: Container): boolean {
    return this.isHeldBack(container.name);
  }

  /** @param key of `holds` */
  private isHeldBack(key: string): boolean {
    const hold = this.in.holds.get(key);
    if (hold === undefined || hold <= this.in.now) return false;
    this.lookAgainAt(hold);
    return true;
  }

  private decide(container: Container, exited: ContainerRuntimeStatus): 'stay' | 'restart' {
    const killed = this.in.killed.get(exited.id);
    if (killed) return killed.restart ? 'restart' : 'stay';
    return decideOnExit(this.pod, container, exited.exitCode) === 'stay' ? 'stay' : 'restart';
  }

  /** Starts the container, now or when its back-off ends. @param last the instance that it replaces */
  private wantStart(
    container: Container,
    last: ContainerRuntimeStatus | undefined,
    createdId: string | undefined,
  ): void {
    if (this.isHeld(container)) return;
    const { name } = container;
    const state = this.in.restarts.get(name);
    if (last?.state === 'exited' && state?.clearedId !== last.id && !this.passBackOff(container, last, last.id)) return;
    const restartCount = createdId
      ? this.in.status.containers.find((c) => c.id === createdId)!.restartCount
      : this.nextRestartCount(container);
    this.start.push({ name, restartCount, ...(createdId ? { createdId } : {}) });
  }

  /** @returns false, with the waiting reason planned, while the container is in back-off since `exited` */
  private passBackOff(container: Container, exited: ContainerRuntimeStatus, clearedId: string): boolean {
    const { policy, now, waiting } = this.in;
    const { name } = container;
    const entry = this.in.restarts.get(name)?.entry;
    const failedAt = this.in.finishedAt(exited);
    const leftMs = backOffRemainingMs(entry, failedAt, now, policy);
    if (leftMs === 0) {
      this.restarts.set(name, { entry: bumpBackOff(entry, failedAt, now, policy), clearedId });
      return true;
    }
    const message = `back-off ${formatDelay(entry!.delayMs)} restarting failed container=${name} pod=${podFullName(this.pod)}`;
    const isNew = waiting.get(name)?.instanceId !== exited.id;
    this.backOff.push({ name, waiting: { reason: 'CrashLoopBackOff', message, instanceId: exited.id }, isNew });
    this.lookAgainAt(now + leftMs);
    return false;
  }

  /**
   * As upstream, the back-off of a restart by kill looks at the instance before the one that is killed: of the first two kills
   * by a probe neither waits.
   * @returns whether the restart is cleared now
   */
  private clearRestartAfterKill(container: Container, killed: ContainerRuntimeStatus): boolean {
    const { policy, now } = this.in;
    const before = this.in.status.containers.find((c) => c.name === container.name && c.state === 'exited');
    const entry = this.in.restarts.get(container.name)?.entry;
    if (!before) {
      this.restarts.set(container.name, { entry, clearedId: killed.id });
      return true;
    }
    const failedAt = this.in.finishedAt(before);
    if (backOffRemainingMs(entry, failedAt, now, policy) > 0) return false;
    this.restarts.set(container.name, { entry: bumpBackOff(entry, failedAt, now, policy), clearedId: killed.id });
    return true;
  }

  private nextOf(container: Container): CreateContainer {
    return { name: container.name, restartCount: this.nextRestartCount(container) };
  }

  /** Never falls, also when the runtime has forgotten the instances before. */
  private nextRestartCount(container: Container): number {
    let count = -1;
    for (const c of this.in.status.containers) {
      if (c.name === container.name) count = Math.max(count, c.restartCount);
    }
    const { containerStatuses = [], initContainerStatuses = [] } = this.in.published ?? {};
    const shown = [...containerStatuses, ...initContainerStatuses].find((s) => s.name === container.name);
    // One that was removed so that all start anew is shown with the count of its next instance already.
    const isNext = shown?.state?.waiting && shown.lastState?.terminated?.reason === RESTARTING_ALL;
    if (isNext) count = Math.max(count, shown.restartCount - 1);
    else if (shown?.containerID || shown?.lastState?.terminated) count = Math.max(count, shown.restartCount);
    return count + 1;
  }

  private killFor(
    instance: ContainerRuntimeStatus,
    reason: KillReason,
    options: {
      restart?: boolean;
      successor?: CreateContainer | undefined;
      message?: string;
      probe?: { terminationGracePeriodSeconds?: number } | undefined;
      probeResults?: readonly ProbeResult[];
    } = {},
  ): KillContainer {
    const unknown = `Container is in "unknown" state, try killing it before restart`;
    const fallback = reason === 'unknownState' ? unknown : `Stopping container ${instance.name}`;
    return {
      containerId: instance.id,
      name: instance.name,
      reason,
      message: options.message ?? fallback,
      graceSeconds: options.probe?.terminationGracePeriodSeconds ?? podGraceSeconds(this.pod),
      probeResults: options.probeResults ?? [],
      restart: options.restart ?? true,
      successor: options.successor,
    };
  }

  private lookAgainAt(at: number): void {
    this.retryAt = Math.min(this.retryAt ?? at, at);
  }
}

/** spec.terminationGracePeriodSeconds, 30 by default. */
export function podGraceSeconds(pod: Pod): number {
  return pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
}

/** `NAME_NAMESPACE(UID)`, as events and messages name a pod. */
export function podFullName(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

/**
 * Creating a container looks at its mounts and its environment. What an earlier container may still make for it (a sub-path, something on the
 * host, a ConfigMap) must exist by then, so such containers are created only when it is their turn.
 */
function canCreateEarly(pod: Pod, container: Container): boolean {
  const { envFrom = [], env = [] } = container;
  if (envFrom.length > 0 || env.some(({ valueFrom: v }) => v?.configMapKeyRef || v?.secretKeyRef)) return false;
  const onHost = new Set((pod.spec.volumes ?? []).filter((v) => v.hostPath).map((v) => v.name));
  return !(container.volumeMounts ?? []).some((m) => m.subPath || m.subPathExpr || onHost.has(m.name));
}

/** As Go prints a duration of whole seconds: `10s`, `1m20s`, `5m0s`. */
function formatDelay(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
