import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Container, ContainerStatus, Pod, PodStatus } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { containerHash } from '../container-hash.ts';
import type { ContainerRuntimeStatus, SandboxRuntimeStatus } from '../runtime-status.ts';
import { CRASH_LOOP_BACK_OFF, computePodActions, type PodActions, type RestartState } from './compute-pod-actions.ts';

/**
 * One pod in a world that carries plans out, in which containers end as they like, sandboxes die and the agent forgets
 * everything. It checks what must always hold.
 */
class World {
  readonly pod: Pod;
  private sandboxes: SandboxRuntimeStatus[] = [];
  private containers: ContainerRuntimeStatus[] = [];
  private restarts = new Map<string, RestartState>();
  private killed = new Map<string, { restart: boolean }>();
  private readonly told = new Map<string, ContainerStatus>();
  private readonly counts = new Map<string, number>();
  private now = 0;
  private serial = 0;
  private over = false;

  constructor(pod: Pod) {
    this.pod = pod;
  }

  private plan(): PodActions {
    const input = {
      pod: this.pod,
      status: {
        podUID: 'u',
        namespace: 'n',
        name: 'p',
        sandboxes: this.sandboxes,
        // Newest first, as the PLEG has them.
        containers: [...this.containers].sort((a, b) => b.restartCount - a.restartCount || b.createdAt - a.createdAt),
      },
      published: this.published(),
      verdict: () => 'success' as const,
      probeResults: () => [],
      operations: new Map(),
      sandboxBusy: false,
      holds: new Map(),
      waiting: new Map(),
      restarts: this.restarts,
      killed: this.killed,
      finishedAt: (c: ContainerRuntimeStatus) => c.finishedAt,
      policy: CRASH_LOOP_BACK_OFF,
      activeForMs: 0,
      now: this.now,
    };
    const plan = computePodActions(input);
    expect(computePodActions(input)).toEqual(plan);
    return plan;
  }

  /** What the API server was told. */
  private published(): PodStatus {
    const init = this.pod.spec.initContainers ?? [];
    for (const c of this.containers) {
      if (c.state === 'created' || c.restartCount < (this.told.get(c.name)?.restartCount ?? 0)) continue;
      const terminated = { exitCode: c.exitCode, containerID: `containerd://${c.id}` };
      const state = c.state === 'exited' ? { terminated } : { running: {} };
      const { name, restartCount } = c;
      this.told.set(name, {
        name,
        restartCount,
        state,
        containerID: `containerd://${c.id}`,
        image: '',
        imageID: '',
        ready: false,
      });
    }
    const isInit = (s: ContainerStatus): boolean => init.some((c) => c.name === s.name);
    return {
      initContainerStatuses: [...this.told.values()].filter(isInit),
      containerStatuses: [...this.told.values()].filter((s) => !isInit(s)),
    };
  }

  /** @param half carry out only that many of the starts and creates, then the agent dies */
  step(half: number): void {
    if (this.over) return;
    const plan = this.plan();
    if (plan.terminate) {
      this.checkEnd();
      this.over = true;
      return;
    }
    for (const kill of plan.kill) {
      this.killed.set(kill.containerId, { restart: kill.restart });
      this.finish(kill.containerId, 137);
    }
    for (const [name, state] of plan.restarts) this.restarts.set(name, state);
    if (plan.sandbox) {
      for (const id of plan.sandbox.stop) {
        this.sandboxes = this.sandboxes.map((s) => (s.id === id ? { ...s, ready: false } : s));
      }
      const id = `sandbox-${++this.serial}`;
      this.sandboxes = [
        { id, attempt: plan.sandbox.attempt, ready: true, createdAt: this.now, ips: ['ip'], hostNetwork: false },
        ...this.sandboxes,
      ];
    }
    const work = [
      ...plan.start.map((s) => () => this.start(s.name, s.restartCount, s.createdId)),
      ...plan.create.map((c) => () => this.create(c.name, c.restartCount)),
    ];
    for (const one of half > 0 ? work.slice(0, half) : work) one();
    for (const id of plan.removeContainers) this.containers = this.containers.filter((c) => c.id !== id);
    this.sandboxes = this.sandboxes.filter((s) => !plan.removeSandboxes.includes(s.id));
  }

  private create(name: string, restartCount: number): ContainerRuntimeStatus {
    const sandbox = this.sandboxes[0]!;
    const twin = this.containers.find(
      (c) => c.sandboxId === sandbox.id && c.name === name && c.restartCount === restartCount,
    );
    expect(twin, `${name} is created once for each restart`).toBeUndefined();
    const spec = this.spec(name);
    const created: ContainerRuntimeStatus = {
      id: `${name}-${++this.serial}`,
      name,
      sandboxId: sandbox.id,
      state: 'created',
      restartCount,
      hash: containerHash(spec),
      createdAt: this.serial,
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      image: '',
      imageRef: '',
      logPath: '',
    };
    this.containers.push(created);
    return created;
  }

  private start(name: string, restartCount: number, createdId: string | undefined): void {
    const created = createdId ? this.containers.find((c) => c.id === createdId)! : this.create(name, restartCount);
    expect(created.sandboxId, 'started in the active sandbox').toBe(this.sandboxes[0]!.id);
    expect(
      this.containers.filter((c) => c.name === name && c.state === 'running'),
      `${name} runs at most once`,
    ).toEqual([]);
    expect(created.restartCount, `restarts of ${name} never fall`).toBeGreaterThanOrEqual(this.counts.get(name) ?? 0);
    this.counts.set(name, created.restartCount);
    this.checkTurn(name);
    this.set(created.id, { state: 'running', startedAt: this.now + 1 });
  }

  /** Everything that must be done before `name` may start is done, in this very sandbox. */
  private checkTurn(name: string): void {
    const init = this.pod.spec.initContainers ?? [];
    const index = init.findIndex((c) => c.name === name);
    const sandbox = this.sandboxes[0]!.id;
    const here = (c: Container) => this.containers.filter((o) => o.name === c.name && o.sandboxId === sandbox);
    const initialized = this.pod.spec.containers.some((c) => here(c).some((o) => o.state !== 'created'));
    if (initialized) {
      expect(index < 0 || isSidecar(init[index]!), `init container ${name} after the pod was initialized`).toBe(true);
      return;
    }
    for (const before of index < 0 ? init : init.slice(0, index)) {
      const done = here(before).some((o) =>
        isSidecar(before) ? o.state !== 'created' : o.state === 'exited' && o.exitCode === 0,
      );
      expect(done, `${name} before ${before.name} is done`).toBe(true);
      const running = here(before).some((o) => o.state === 'running');
      expect(running && !isSidecar(before), `${name} beside ${before.name}`).toBe(false);
    }
  }

  private checkEnd(): void {
    const policy = this.pod.spec.restartPolicy;
    const running = this.containers.filter((c) => c.state === 'running').map((c) => this.spec(c.name));
    expect(policy, 'a pod that always restarts does not end').not.toBe('Always');
    // A pod that runs once ends with its sandbox; what still runs in it is then stopped.
    if (!this.sandboxes[0]?.ready) return;
    expect(
      running.filter((c) => !isSidecar(c)),
      'nothing but sidecars runs at the end',
    ).toEqual([]);
  }

  exit(pick: number, exitCode: number): void {
    const running = this.containers.filter((c) => c.state === 'running');
    const one = running[pick % Math.max(1, running.length)];
    if (one) this.finish(one.id, exitCode);
  }

  killSandbox(): void {
    const newest = this.sandboxes[0];
    if (!newest) return;
    this.sandboxes = this.sandboxes.map((s) => (s === newest ? { ...s, ready: false } : s));
  }

  /** What is in memory is lost; what the runtime has is not. */
  restartAgent(): void {
    this.restarts = new Map();
    this.killed = new Map();
  }

  pass(ms: number): void {
    this.now += ms;
  }

  private finish(id: string, exitCode: number): void {
    this.set(id, { state: 'exited', exitCode, finishedAt: this.now });
  }

  private set(id: string, change: Partial<ContainerRuntimeStatus>): void {
    this.containers = this.containers.map((c) => (c.id === id ? { ...c, ...change } : c));
  }

  private spec(name: string): Container {
    return [...(this.pod.spec.initContainers ?? []), ...this.pod.spec.containers].find((c) => c.name === name)!;
  }
}

const pods: fc.Arbitrary<Pod> = fc
  .record({
    init: fc.array(fc.boolean(), { maxLength: 3 }),
    apps: fc.integer({ min: 1, max: 2 }),
    restartPolicy: fc.constantFrom<'Always' | 'OnFailure' | 'Never'>('Always', 'OnFailure', 'Never'),
  })
  .map(({ init, apps, restartPolicy }) => ({
    metadata: { name: 'p', namespace: 'n', uid: 'u' },
    spec: {
      restartPolicy,
      initContainers: init.map((sidecar, i) => ({
        name: `init${i}`,
        image: 'x',
        ...(sidecar ? { restartPolicy: 'Always' } : {}),
      })),
      containers: Array.from({ length: apps }, (_, i) => ({ name: `app${i}`, image: 'x' })),
    },
  }));

type Move = (world: World) => void;

const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Move>((w) => w.step(0)) },
  { weight: 1, arbitrary: fc.constant<Move>((w) => w.step(1)) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(5), fc.constantFrom(0, 0, 1)).map(
      ([pick, code]): Move =>
        (w) =>
          w.exit(pick, code),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1000, 20_000, 700_000).map(
      (ms): Move =>
        (w) =>
          w.pass(ms),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Move>((w) => w.killSandbox()) },
  { weight: 1, arbitrary: fc.constant<Move>((w) => w.restartAgent()) },
);

describe('computePodActions, whatever happens', () => {
  it('keeps init before apps, one instance of each, counts that never fall', () => {
    fc.assert(
      fc.property(pods, fc.array(moves, { minLength: 10, maxLength: 60 }), (pod, list) => {
        const world = new World(pod);
        for (const move of list) move(world);
      }),
      { numRuns: 400 },
    );
  });
});
