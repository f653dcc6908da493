import type { Container, Pod } from '../api/generated/types.ts';
import { CALL_TIMEOUT_MS, LOOKUP_TIMEOUT_MS, SANDBOX_TIMEOUT_MS } from '../cri/call-timeouts.ts';
import { CriError } from '../cri/cri-error.ts';
import {
  type CallFate,
  type FakeBehaviour,
  type FakeExecResult,
  type FakeMethod,
  FakeRuntime,
  type RuntimeFact,
} from '../cri/fake-runtime-service.ts';
import type { RuntimeEvent } from '../cri/runtime-service.ts';
import { parseImageName } from '../kubelet/images/image-name.ts';
import type { ProbeType } from '../kubelet/ports.ts';
import type { Random } from '../lib/random.ts';
import type { ContainerRef, FactBody, SandboxRef } from './fact.ts';
import { type Action, type ContainerScript, type ImageScript, isOpen, type Scenario, scriptOf } from './scenario.ts';
import type { SimClock } from './sim-clock.ts';
import type { EndpointAnswer } from './sim-prober.ts';
import { sleepMsOf } from './sleep-ms-of.ts';

/** Ms that calls take on containerd 1.6 (2 cores, Debian 12), from and to. */
const LATENCY_MS: Partial<Record<FakeMethod, readonly [number, number]>> = {
  runPodSandbox: [60, 160],
  stopPodSandbox: [20, 60],
  removePodSandbox: [5, 25],
  createContainer: [5, 18],
  startContainer: [37, 90],
  stopContainer: [2, 12],
  removeContainer: [8, 30],
  execSync: [25, 70],
};
const LOOKUP_MS = [1, 4] as const;
/** How long after its exit a container is reported as exited. */
const EXIT_REPORT_MS = [40, 80] as const;
const DEFAULT_PULL_MS = 800;
/** containerd's image_pull_progress_timeout. */
const PULL_PROGRESS_TIMEOUT_MS = 60_000;

type BreakCalls = Extract<Action, { do: 'breakCalls' }>;
type EventFault = Extract<Action, { do: 'breakEvents' }>['how'];
/** What of a pod may be left on the host. */
export type HostPart = 'volumes' | 'logs' | 'hostPorts';

interface Running {
  readonly ref: ContainerRef;
  readonly script: ContainerScript;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** Until when (monotonic ms) commands of probes run in it. */
  readonly checks: Map<ProbeType, number>;
}

export interface SimNodeOptions {
  readonly name: string;
  readonly ip: string;
  readonly clock: SimClock;
  readonly random: Random;
  readonly scenario: Scenario;
  readonly emit: (fact: FactBody) => void;
  /** What a container of this name does; by default what the scenario says. */
  readonly behaviour?: (container: string) => FakeBehaviour;
}

/** A machine: its container runtime, and what pods leave on its disk. It outlives our process. */
export class SimNode {
  readonly name: string;
  readonly ip: string;
  readonly runtime: FakeRuntime;
  /** UIDs of the pods that have something here. */
  readonly host: Readonly<Record<HostPart, Set<string>>> = {
    volumes: new Set(),
    logs: new Set(),
    hostPorts: new Set(),
  };
  /** Nothing new can be written. */
  isDiskFull = false;
  private readonly options: SimNodeOptions;
  private readonly sandboxes = new Map<string, SandboxRef>();
  private readonly containers = new Map<string, ContainerRef>();
  private readonly running = new Map<string, Running>();
  /** How often a container of a name has been started, by `POD/CONTAINER`. */
  private readonly starts = new Map<string, number>();
  private readonly pullFailures = new Map<string, number>();
  /** Whose the commands of probes are. */
  private readonly commands = new WeakMap<readonly string[], ProbeType>();
  private readonly broken: { readonly fault: BreakCalls; left: number }[] = [];
  private eventFault: EventFault | undefined;
  private lastEventAt = 0;
  /** When the latest of the events comes that are late. */
  private latestEventAt = 0;

  constructor(options: SimNodeOptions) {
    this.options = options;
    this.name = options.name;
    this.ip = options.ip;
    this.runtime = new FakeRuntime({
      clock: options.clock,
      keepsCalls: false,
      exitReportLagMs: () => this.draw(EXIT_REPORT_MS),
      fate: (method, target) => this.fate(method, target),
      eventDelaysMs: (event) => this.eventDelays(event),
      behaviour: ({ containerId }) => this.behave(containerId),
      onFact: (fact) => this.tell(fact),
    });
    for (const [image, script] of Object.entries(options.scenario.images ?? {})) {
      if (script.present ?? true) this.runtime.images.add(image);
      this.pullFailures.set(image, script.failures ?? 0);
    }
  }

  /** How a container answers a probe now. */
  ask(containerId: string, probe: ProbeType): EndpointAnswer {
    const running = this.running.get(containerId);
    if (!running) {
      const ref = this.containers.get(containerId);
      if (ref) this.options.emit({ what: 'probed', ...ref, probe, outcome: 'refused' });
      return { answer: 'refused', afterMs: 1 };
    }
    const { script, startedAt, ref } = running;
    const now = this.options.clock.monotonic();
    const window = (script.health ?? []).find((w) => (w.probe ?? probe) === probe && isOpen(w, startedAt, now));
    const answer = window?.answer ?? 'success';
    this.options.emit({ what: 'probed', ...ref, probe, outcome: answer, afterMs: script.answerMs });
    return { answer, afterMs: script.answerMs ?? 2 };
  }

  /** The very command that the runtime is asked for next is a check of this probe. */
  noteCheck(command: readonly string[], probe: ProbeType): void {
    this.commands.set(command, probe);
  }

  /** Containers that run now, for whoever watches from outside. */
  runningContainers(): readonly ContainerRef[] {
    return [...this.running.values()].map((r) => r.ref);
  }

  /** The script of a container that runs now, and since when (monotonic ms). */
  script(containerId: string): { script: ContainerScript; startedAt: number } | undefined {
    return this.running.get(containerId);
  }

  /** Ends the process of a running container. @returns whether there was one */
  exit(pod: string, container: string, exitCode: number, oom = false): boolean {
    const found = this.runningContainers().find((c) => c.pod === pod && c.container === container);
    if (found) this.runtime.exit(found.containerId, exitCode, { oom });
    return found !== undefined;
  }

  killSandbox(pod: string): boolean {
    const found = [...this.sandboxes.values()].findLast((s) => s.pod === pod);
    if (found) this.runtime.killSandbox(found.sandboxId);
    return found !== undefined;
  }

  /** All processes of the machine end at once, the runtime's with what it was about to do. */
  cutPower(): void {
    this.runtime.disconnect();
    for (const { sandboxId } of this.sandboxes.values()) this.runtime.killSandbox(sandboxId);
    this.runtime.reconnect();
  }

  breakCalls(fault: BreakCalls): void {
    this.broken.push({ fault, left: fault.count });
  }

  /** No call is broken any more. */
  mend(): void {
    this.broken.length = 0;
  }

  set events(fault: EventFault | undefined) {
    this.eventFault = fault;
  }

  draw([from, to]: readonly [number, number]): number {
    return from + Math.floor(this.options.random.float() * (to - from + 1));
  }

  /** For files of a pod. @throws when the disk is full */
  useDisk(): void {
    if (!this.isDiskFull) return;
    this.options.emit({ what: 'fault', name: 'disk refuses files of a pod' });
    throw new Error('ENOSPC: no space left on device');
  }

  // --- what the runtime asks

  private fate(method: FakeMethod, target: string): CallFate {
    const afterMs = method === 'pullImage' ? this.pullMs(target) : this.draw(LATENCY_MS[method] ?? LOOKUP_MS);
    const pullsLeft = method === 'pullImage' ? (this.pullFailures.get(target) ?? 0) : 0;
    if (pullsLeft > 0) {
      this.pullFailures.set(target, pullsLeft - 1);
      return { afterMs, error: new CriError('UNKNOWN', 'PullImage', pullError(target)) };
    }
    const at = this.broken.findIndex((b) => b.fault.method === method && b.left > 0);
    if (at < 0) return { afterMs };
    const { how } = this.broken[at]!.fault;
    if (method === 'pullImage' && (how === 'hang' || how === 'hangActing')) {
      // containerd gives up on a pull that makes no progress.
      this.emitBroken(at);
      return { afterMs: PULL_PROGRESS_TIMEOUT_MS, error: new CriError('UNKNOWN', 'PullImage', 'context canceled') };
    }
    this.emitBroken(at);
    const rpc = method[0]!.toUpperCase() + method.slice(1);
    const timeoutMs = timeoutOf(method);
    switch (how) {
      case 'fail':
        return { afterMs, error: new CriError('UNKNOWN', rpc, 'something went wrong in the runtime') };
      case 'loseAnswer':
        return { afterMs, lost: new CriError('UNAVAILABLE', rpc, 'connection reset by peer') };
      case 'hang':
        return { afterMs, hang: { acts: false, timeoutMs } };
      case 'hangActing':
        return { afterMs, hang: { acts: true, timeoutMs } };
    }
  }

  /** One more call has met this fault. */
  private emitBroken(at: number): void {
    const broken = this.broken[at]!;
    this.options.emit({ what: 'fault', name: `${broken.fault.method} ${broken.fault.how}` });
    if (--broken.left === 0) this.broken.splice(at, 1);
  }

  private imageScript(image: string): ImageScript {
    return this.options.scenario.images?.[image] ?? {};
  }

  private pullMs(image: string): number {
    return this.imageScript(image).pullMs ?? DEFAULT_PULL_MS;
  }

  private eventDelays(event: RuntimeEvent): readonly number[] {
    // In order, unless something is wrong.
    const now = this.options.clock.monotonic();
    this.lastEventAt = Math.max(this.lastEventAt, now + this.draw([0, 3]));
    const usual = this.lastEventAt - now;
    if (this.eventFault === undefined || event.type === 'resync') return [usual];
    this.options.emit({ what: 'fault', name: `event ${this.eventFault}` });
    if (this.eventFault === 'lose') return [];
    if (this.eventFault === 'double') return [usual, this.draw([0, 500])];
    const late = this.draw([50, 3000]);
    if (now + late < this.latestEventAt) this.options.emit({ what: 'fault', name: 'event overtake' });
    this.latestEventAt = Math.max(this.latestEventAt, now + late);
    return [late];
  }

  private behave(containerId: string): FakeBehaviour {
    const ref = this.containers.get(containerId)!;
    if (this.options.behaviour) return this.options.behaviour(ref.container);
    const key = `${ref.pod}/${ref.container}`;
    const started = this.starts.get(key) ?? 0;
    this.starts.set(key, started + 1);
    const { health: _, answerMs: __, ...behaviour } = scriptOf(this.options.scenario, ref.pod, ref.container, started);
    return { ...behaviour, exec: (command) => this.exec(ref, command) };
  }

  private exec(ref: ContainerRef, command: readonly string[]): FakeExecResult {
    const probe = this.commands.get(command);
    if (probe) {
      const { answer, afterMs } = this.ask(ref.containerId, probe);
      const until = answer === 'hang' ? Number.POSITIVE_INFINITY : this.options.clock.monotonic() + afterMs;
      this.running.get(ref.containerId)?.checks.set(probe, until);
      if (answer === 'hang') return { afterMs: Number.MAX_SAFE_INTEGER };
      if (answer === 'error') return { error: `failed to exec in container: ${command.join(' ')}: not found` };
      return { afterMs, exitCode: answer === 'success' ? 0 : 1 };
    }
    // As much of a shell as hooks need.
    if (command[0] === 'false') return { exitCode: 1 };
    return { afterMs: sleepMsOf(command) };
  }

  private tell(fact: RuntimeFact): void {
    const { emit, clock, scenario } = this.options;
    switch (fact.what) {
      case 'imagePulled':
        emit(fact);
        return;
      case 'sandboxStarted': {
        const { uid: podUID, name: pod, attempt } = fact.sandbox;
        const ref = { podUID, pod, sandboxId: fact.sandboxId, attempt };
        this.sandboxes.set(fact.sandboxId, ref);
        emit({ what: fact.what, ...ref });
        return;
      }
      case 'sandboxStopped':
      case 'sandboxRemoved':
        emit({ what: fact.what, ...this.sandboxes.get(fact.sandboxId)! });
        if (fact.what === 'sandboxRemoved') this.sandboxes.delete(fact.sandboxId);
        return;
      case 'containerCreated': {
        const { podUID, pod } = this.sandboxes.get(fact.sandboxId)!;
        const { name: container, attempt } = fact.container;
        const ref = { podUID, pod, container, containerId: fact.containerId, sandboxId: fact.sandboxId, attempt };
        this.containers.set(fact.containerId, ref);
        emit({ what: fact.what, ...ref });
        return;
      }
      default: {
        const ref = this.containers.get(fact.containerId)!;
        if (fact.what === 'containerStarted') {
          const started = (this.starts.get(`${ref.pod}/${ref.container}`) ?? 1) - 1;
          const script = scriptOf(scenario, ref.pod, ref.container, started);
          this.running.set(ref.containerId, { ref, script, startedAt: clock.monotonic(), checks: new Map() });
        }
        if (fact.what === 'containerExited') this.endChecks(ref);
        if (fact.what === 'containerRemoved') this.containers.delete(ref.containerId);
        emit({ ...fact, ...ref });
      }
    }
  }

  /** The commands of probes die with their container. */
  private endChecks(ref: ContainerRef): void {
    const now = this.options.clock.monotonic();
    for (const [probe, until] of this.running.get(ref.containerId)?.checks ?? []) {
      if (until >= now) this.options.emit({ what: 'probed', ...ref, probe, outcome: 'failure' });
    }
    this.running.delete(ref.containerId);
  }
}

export function containerSpec(pod: Pod | undefined, name: string): Container | undefined {
  return [...(pod?.spec.initContainers ?? []), ...(pod?.spec.containers ?? [])].find((c) => c.name === name);
}

function timeoutOf(method: FakeMethod): number {
  if (method === 'runPodSandbox' || method === 'stopPodSandbox') return SANDBOX_TIMEOUT_MS;
  const isLookup = /^(list|version|status|podSandboxStatus|containerStatus|imageStatus)/.test(method);
  return isLookup ? LOOKUP_TIMEOUT_MS : CALL_TIMEOUT_MS;
}

/** containerd names it in full. */
function pullError(requested: string): string {
  const name = parseImageName(requested);
  const image = name.ok ? name.canonical : requested;
  return `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
}
