import type { Container, Pod, Probe, Service } from '../api/generated/types.ts';
import type { KubeObject } from '../api/resources.ts';
import type { ProbeType } from '../kubelet/ports.ts';
import { SeededRandom } from '../lib/random.ts';
import {
  type Action,
  BREAKABLE_CALLS,
  CALL_FAULTS,
  CHANGING_CALLS,
  type ContainerScript,
  type HealthWindow,
  type ImageScript,
} from './scenario.ts';
import type { SimCase } from './sim-case.ts';

/** Until when things go wrong. */
const FAULTS_UNTIL_MS = 90_000;
/** Afterwards: calls that hang (4 min), and the longest back-off (5 min). */
const SETTLE_MS = 700_000;

/** The exit code that restartPolicyRules are about. */
const RULED_EXIT = 42;

const LABELS = { app: 'web' };
const SERVICE: Service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: LABELS, ports: [{ port: 80 }] },
};

/** A random life of a node, the same for the same seed. */
export function generateCase(seed: number): SimCase {
  return new Generator(seed).generate();
}

class Generator {
  private readonly seed: number;
  private readonly random: SeededRandom;
  private readonly containers: Record<string, ContainerScript[]> = {};
  private readonly images: Record<string, ImageScript> = {};
  private readonly pods: Pod[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed * 2_654_435_761);
  }

  generate(): SimCase {
    for (let i = 0, count = this.int(1, 3); i < count; i++) this.pods.push(this.pod(`p${i}`));
    const objects: KubeObject[] = [];
    const actions: Action[] = [];
    if (this.chance(0.5)) objects.push(SERVICE);
    for (const pod of this.pods) {
      if (this.chance(0.8)) objects.push(pod);
      else actions.push({ atMs: this.moment(), do: 'create', object: pod });
    }
    for (let i = 0, count = this.int(1, 9); i < count; i++) actions.push(this.fault());
    if (this.chance(0.25)) actions.push(...this.hungStart());
    for (const pod of this.pods) if (this.chance(0.5)) actions.push(...this.deletion(pod.metadata.name!));
    actions.push({ atMs: FAULTS_UNTIL_MS, do: 'mend' });
    actions.sort((a, b) => a.atMs - b.atMs);
    return {
      seed: this.seed,
      objects,
      scenario: {
        containers: this.containers,
        images: this.images,
        actions,
        durationMs: FAULTS_UNTIL_MS + SETTLE_MS,
      },
      ...(this.chance(0.5) ? { maxApiLatencyMs: this.pick([1, 5, 50]) } : {}),
    };
  }

  // --- pods

  private pod(name: string): Pod {
    const restartPolicy = this.pick(['Always', 'Always', 'OnFailure', 'Never'] as const);
    const initContainers = Array.from({ length: this.pick([0, 0, 1, 2, 3]) }, (_, i) => this.init(name, i));
    const containers = Array.from({ length: this.pick([1, 1, 2]) }, (_, i) => this.app(name, `c${i}`));
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: LABELS },
      spec: {
        restartPolicy,
        ...(this.chance(0.7) ? { terminationGracePeriodSeconds: this.pick([1, 2, 5, 20]) } : {}),
        ...(this.chance(0.1) ? { hostNetwork: true } : {}),
        ...(this.chance(0.05) ? { activeDeadlineSeconds: this.int(5, 60) } : {}),
        ...(initContainers.length > 0 ? { initContainers } : {}),
        containers,
      },
    };
  }

  private init(pod: string, index: number): Container {
    const name = `i${index}`;
    const container: Container = { name, image: this.image() };
    if (this.chance(0.3)) return { ...this.app(pod, name), restartPolicy: 'Always' };
    const scripts: ContainerScript[] = [];
    while (this.chance(0.3)) scripts.push({ exitAfterMs: this.int(0, 3000), exitCode: this.pick([1, 2, 137]) });
    scripts.push({ exitAfterMs: this.pick([0, 10, this.int(0, 5000)]), exitCode: 0 });
    this.containers[`${pod}/${name}`] = scripts;
    return container;
  }

  private app(pod: string, name: string): Container {
    const probes: Partial<Record<`${ProbeType}Probe`, Probe>> = {};
    const types = (['startup', 'liveness', 'readiness'] as const).filter(() => this.chance(0.4));
    for (const type of types) probes[`${type}Probe`] = this.probe(type);
    const scripts: ContainerScript[] = [];
    while (this.chance(0.35)) scripts.push(this.script(types, false));
    scripts.push(this.script(types, true));
    this.containers[`${pod}/${name}`] = scripts;
    const rules = this.chance(0.12) ? this.rules(scripts) : {};
    return {
      name,
      image: this.image(),
      ...rules,
      ...probes,
      ...(this.chance(0.15)
        ? {
            lifecycle: {
              preStop: this.pick([{ sleep: { seconds: this.int(1, 4) } }, { exec: { command: ['false'] } }]),
            },
          }
        : {}),
      ...(this.chance(0.08)
        ? { lifecycle: { postStart: { exec: { command: this.pick([['sleep', '2'], ['true']]) } } } }
        : {}),
    };
  }

  /** A container's own policy, with a rule for an exit code that its first instance ends with. */
  private rules(scripts: ContainerScript[]): Partial<Container> {
    const action = this.pick(['Restart', 'RestartAllContainers', 'RestartAllContainers']);
    scripts.unshift({ exitAfterMs: this.pick([0, 50, this.int(0, 5000)]), exitCode: RULED_EXIT });
    const exitCodes = { operator: 'In', values: [RULED_EXIT] };
    return { restartPolicy: this.pick(['Never', 'OnFailure']), restartPolicyRules: [{ action, exitCodes }] };
  }

  private probe(type: ProbeType): Probe {
    return {
      ...this.pick<Probe>([
        { httpGet: { port: 80, path: '/' } },
        { tcpSocket: { port: 80 } },
        { exec: { command: ['check', type] } },
        { grpc: { port: 80 } },
      ]),
      periodSeconds: this.pick([1, 2, 5, 10]),
      ...(this.chance(0.3) ? { initialDelaySeconds: this.int(0, 5) } : {}),
      ...(this.chance(0.3) ? { timeoutSeconds: this.int(1, 3) } : {}),
      ...(this.chance(0.5) ? { failureThreshold: this.int(1, 3) } : {}),
      ...(type === 'readiness' && this.chance(0.2) ? { successThreshold: 2 } : {}),
      ...(type !== 'readiness' && this.chance(0.2) ? { terminationGracePeriodSeconds: this.pick([1, 3]) } : {}),
    };
  }

  /** @param isLast the instance that stays, unless something is done to it */
  private script(probes: readonly ProbeType[], isLast: boolean): ContainerScript {
    const script: { -readonly [K in keyof ContainerScript]: ContainerScript[K] } = {};
    const ends = this.chance(isLast ? 0.2 : 0.7);
    if (ends) {
      script.exitAfterMs = this.pick([0, 20, this.int(0, 2000), this.int(0, 30_000)]);
      script.exitCode = this.pick([0, 1, 1, 139]);
      if (this.chance(0.1)) Object.assign(script, { oom: true, exitCode: 137 });
    } else if (this.chance(0.08)) script.startError = 'exec: "/no/such": no such file or directory: unknown';
    if (this.chance(0.25)) script.ignoreSigterm = true;
    else if (this.chance(0.3)) script.stopAfterMs = this.int(0, 4000);
    if (this.chance(0.3)) script.answerMs = this.pick([0, 100, 990, 1500]);
    if (probes.length > 0 && this.chance(0.5)) script.health = [this.window(probes, isLast)];
    return script;
  }

  private window(probes: readonly ProbeType[], isLast: boolean): HealthWindow {
    const fromMs = this.pick([0, 0, this.int(0, 20_000)]);
    return {
      ...(this.chance(0.7) ? { probe: this.pick(probes) } : {}),
      fromMs,
      ...(isLast && this.chance(0.8) ? { toMs: fromMs + this.int(500, 30_000) } : {}),
      answer: this.pick(['failure', 'refused', 'hang', 'error']),
    };
  }

  private image(): string {
    const name = `registry.test/image-${this.int(0, 4)}:1`;
    this.images[name] ??= {
      present: this.chance(0.6),
      pullMs: this.pick([50, 800, 6000]),
      failures: this.pick([0, 0, 0, 1, 3]),
    };
    return name;
  }

  // --- what happens

  private fault(): Action {
    const atMs = this.moment();
    const pod = this.pick(this.pods);
    const container = this.pick([...(pod.spec.initContainers ?? []), ...pod.spec.containers]).name;
    const name = pod.metadata.name!;
    const ms = (from: number, to: number): number => this.int(from, to);
    switch (this.int(0, 12)) {
      case 0:
        return { atMs, do: 'killAgent', downMs: this.pick([10, 1000, ms(0, 20_000)]), afterSteps: ms(1, 60) };
      case 1:
      case 2:
        return { atMs, do: 'killAgent', downMs: ms(0, 5000), ...(this.chance(0.7) ? { at: this.place() } : {}) };
      case 3:
        return { atMs, do: 'killRuntime', downMs: this.pick([50, ms(0, 20_000)]) };
      case 4:
      case 5: {
        const how = this.pick([...CALL_FAULTS, 'fail'] as const);
        return { atMs, do: 'breakCalls', method: this.pick(BREAKABLE_CALLS), count: ms(1, 3), how };
      }
      case 6:
        return { atMs, do: 'breakEvents', forMs: ms(100, 20_000), how: this.pick(['lose', 'double', 'delay']) };
      case 7:
        return { atMs, do: 'jumpWall', ms: this.pick([-3_600_000, -5000, 5000, 3_600_000]) };
      case 8:
        return { atMs, do: 'fillDisk', forMs: ms(10, 10_000) };
      case 9:
        return { atMs, do: 'breakWatches', how: this.pick(['end', 'expire', 'fail']) };
      case 10:
        return { atMs, do: 'breakWrites', count: ms(1, 5), how: this.pick(['conflict', 'fail', 'loseAnswer']) };
      case 11:
        return this.chance(0.5)
          ? { atMs, do: 'exit', pod: name, container, exitCode: this.pick([0, 1, 137]), oom: this.chance(0.2) }
          : { atMs, do: 'killSandbox', pod: name };
      default:
        return { atMs, do: 'cutPower', downMs: ms(500, 20_000), lostWrites: this.pick([0, 1, 5, 20]) };
    }
  }

  /** A start call that never returns, and then another sandbox. */
  private hungStart(): Action[] {
    const atMs = this.int(0, 4000);
    const how = this.pick(['hang', 'hangActing'] as const);
    const pod = (this.pods.find((p) => p.spec.initContainers) ?? this.pods[0]!).metadata.name!;
    return [
      { atMs, do: 'breakCalls', method: 'startContainer', count: this.int(1, 3), how },
      { atMs: atMs + this.int(0, 3000), do: 'killSandbox', pod },
    ];
  }

  private deletion(pod: string): Action[] {
    const atMs = this.moment();
    const actions: Action[] = [{ atMs, do: 'delete', pod, ...this.graceOrNone() }];
    if (this.chance(0.3)) {
      actions.push({ atMs: atMs + this.int(1, 5000), do: 'delete', pod, graceSeconds: this.pick([0, 1, 3]) });
    }
    // Its last steps are few.
    if (this.chance(0.3)) {
      const downMs = this.pick([10, 1000]);
      actions.push({ atMs: atMs + this.int(0, 3000), do: 'killAgent', downMs, at: this.place() });
    }
    return actions;
  }

  private graceOrNone(): { graceSeconds?: number } {
    return this.chance(0.5) ? {} : { graceSeconds: this.pick([0, 1, 5]) };
  }

  private place(): string {
    return `${this.pick(['before', 'after'])} ${this.pick(CHANGING_CALLS)}`;
  }

  // --- chance

  /** Early moments are the interesting ones. */
  private moment(): number {
    const last = this.pick([1500, 5000, 20_000, FAULTS_UNTIL_MS]);
    return this.int(0, last);
  }

  private int(from: number, to: number): number {
    return from + Math.floor(this.random.float() * (to - from + 1));
  }

  private chance(p: number): boolean {
    return this.random.float() < p;
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random.float() * from.length)]!;
  }
}
