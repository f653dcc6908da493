import { createHash } from 'node:crypto';
import type { Pod } from '../api/generated/types.ts';
import * as resources from '../api/resources.ts';
import { type KubeObject, PODS, type Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeClient, WriteOptions } from '../client/kube-client.ts';
import { assert, isAbort } from '../lib/errors.ts';
import { SeededRandom } from '../lib/random.ts';
import type { Checker } from './checker.ts';
import type { Fact, FactBody } from './fact.ts';
import type { Action, Scenario } from './scenario.ts';
import { SimAgent } from './sim-agent.ts';
import { SimClock } from './sim-clock.ts';
import { SimDisk } from './sim-disk.ts';
import { SimNode } from './sim-node.ts';
import { SimProcess } from './sim-process.ts';

export interface SimulateOptions {
  /** Created at the start, in this order. */
  readonly objects: readonly KubeObject[];
  readonly scenario: Scenario;
  readonly seed: number;
  /** Default: one node, `node`. */
  readonly nodeCount?: number;
  /** What looks on, and objects. */
  readonly checkers?: readonly Checker[];
  /** Whether facts are kept and hashed. Default true; without it only the violations are of interest. */
  readonly keepsFacts?: boolean;
  /** How long calls to the API take at most, ms. Default 0: as within one process. */
  readonly maxApiLatencyMs?: number;
  /** Told of each fact as it happens. */
  readonly onFact?: (fact: Fact) => void;
  /** Who creates the objects: told of what the API server refuses or warns of; fields that do not exist are then refused. */
  readonly creator?: ObjectCreator;
}

export interface ObjectCreator {
  refused(object: KubeObject, error: ApiStatusError): void;
  warned(object: KubeObject, text: string): void;
}

/** What was found wrong. */
export interface Violation {
  readonly checker: string;
  readonly atMs: number;
  readonly message: string;
}

/** What happened. */
export interface Trace {
  readonly facts: readonly Fact[];
  readonly violations: readonly Violation[];
  /** Of all facts: the same for the same objects, scenario and seed, anywhere. */
  readonly hash: string;
}

const RETRY_MS = 200;
/** More calls than these in one moment are no work any more, but a circle. */
const STEPS_AT_ONCE = 5000;
const STEPS_AT_ONCE_PER_OBJECT = 500;

/**
 * Runs the production API server, controllers and kubelet on virtual time, on simulated machines, through what the scenario tells.
 * Depends on its arguments alone.
 */
export async function simulate(options: SimulateOptions): Promise<Trace> {
  const world = new SimWorld(options);
  return world.run();
}

/** What the node number `index` (from 0) of so many is called. */
export function simNodeName(index: number, count: number): string {
  return count === 1 ? 'node' : `node-${String(index).padStart(4, '0')}`;
}

/** The world as checkers may look at it. */
export interface WorldView {
  readonly scenario: Scenario;
  readonly nodes: readonly SimNode[];
  /** Pods as the API server has them, by UID. */
  readonly pods: ReadonlyMap<string, Pod>;
  readonly nowMs: number;
}

class SimWorld implements WorldView {
  readonly scenario: Scenario;
  readonly nodes: readonly SimNode[];
  readonly pods = new Map<string, Pod>();
  private readonly options: SimulateOptions;
  private readonly clock = new SimClock();
  private readonly random: SeededRandom;
  private readonly disk = new SimDisk(() => this.emit({ what: 'fault', name: 'disk refuses a write' }));
  private readonly facts: Fact[] = [];
  private readonly violations: Violation[] = [];
  private readonly hash = createHash('sha256');
  private agent: SimAgent | undefined;
  /** All there were. */
  private readonly agents: SimAgent[] = [];
  private isOver = false;
  /** Without power until then. */
  private darkUntil = 0;
  /** Where the independent watcher stands; undefined: it must list. */
  private watchedFrom: string | undefined;

  constructor(options: SimulateOptions) {
    this.options = options;
    this.scenario = options.scenario;
    this.random = new SeededRandom(options.seed);
    const count = options.nodeCount ?? 1;
    this.nodes = Array.from({ length: count }, (_, i) => {
      const name = simNodeName(i, count);
      return new SimNode({
        name,
        ip: `192.0.2.${(i % 254) + 1}`,
        clock: this.clock,
        random: this.random,
        scenario: options.scenario,
        emit: (fact) => this.emit(fact, name),
      });
    });
  }

  get nowMs(): number {
    return this.clock.monotonic();
  }

  async run(): Promise<Trace> {
    const { scenario, objects } = this.options;
    for (const action of scenario.actions ?? []) this.clock.setTimer(action.atMs, () => this.act(action));
    this.startAgent();
    const watching = this.watchPods();
    for (const object of objects) void this.create(object);
    await this.clock.runUntil(scenario.durationMs);
    for (const checker of this.options.checkers ?? []) {
      checker.end?.((message) => this.violate(checker.name, message), this);
    }
    this.isOver = true;
    this.agent?.process.kill();
    for (const agent of this.agents) agent.dispose();
    await this.clock.advance(0);
    void watching;
    return { facts: this.facts, violations: this.violations, hash: this.hash.digest('hex') };
  }

  private emit(body: FactBody, node = ''): void {
    if (this.isOver) return;
    if (body.what === 'written' && body.collection === PODS.plural) {
      const uid = body.object.metadata.uid!;
      if (body.removed) this.pods.delete(uid);
      else this.pods.set(uid, body.object as Pod);
    } else if (body.what === 'loaded') this.reload(body.objects);
    const fact: Fact = { atMs: this.nowMs, node, ...body };
    if (this.options.keepsFacts ?? true) {
      this.facts.push(fact);
      this.hash.update(JSON.stringify(fact, (_, value: unknown) => (value instanceof Map ? [...value] : value)));
    }
    this.options.onFact?.(fact);
    for (const checker of this.options.checkers ?? []) {
      checker.on?.(fact, (message) => this.violate(checker.name, message), this);
    }
  }

  private reload(objects: ReadonlyMap<string, KubeObject>): void {
    this.pods.clear();
    for (const object of objects.values()) {
      if (object.kind === 'Pod') this.pods.set(object.metadata.uid!, object as Pod);
    }
  }

  /** @internal */
  violate(checker: string, message: string): void {
    this.violations.push({ checker, atMs: this.nowMs, message });
  }

  // --- our process

  private startAgent(): void {
    if (this.agent?.process.alive || this.isOver || this.nowMs < this.darkUntil) return;
    const process = new SimProcess({
      clock: this.clock,
      onDeath: (at) => this.emit({ what: 'agentDied', at }),
      stepsAtOnce: STEPS_AT_ONCE + STEPS_AT_ONCE_PER_OBJECT * this.options.objects.length,
      onStandstill: (at) => this.violate('standstill', `the agent goes round and round while no time passes, ${at}`),
    });
    this.emit({ what: 'agentStarted' });
    const { maxApiLatencyMs = 0 } = this.options;
    try {
      this.agent = new SimAgent({
        process,
        disk: this.disk.open(() => process.alive),
        nodes: this.nodes,
        random: this.random,
        apiLatencyMs: () => (maxApiLatencyMs === 0 ? 0 : Math.floor(this.random.float() * (maxApiLatencyMs + 1))),
        emit: (fact, node) => this.emit(fact, node),
      });
      this.agents.push(this.agent);
    } catch (error) {
      // As when the disk is full: whoever supervises us tries again.
      if (!(error instanceof ApiStatusError)) throw error;
      this.emit({ what: 'agentFailed' });
      process.kill();
      this.clock.setTimer(1000, () => this.startAgent());
    }
  }

  private killAgent({ downMs, afterSteps, at }: Extract<Action, { do: 'killAgent' }>): void {
    const process = this.agent?.process;
    if (!process?.alive) return;
    const startAgain = (): void => void this.clock.setTimer(downMs, () => this.startAgent());
    process.deathSignal.addEventListener('abort', startAgain, { once: true });
    if (afterSteps !== undefined) process.dieAfter(afterSteps);
    else if (at !== undefined) process.dieAt(at);
    else process.kill();
  }

  // --- what happens

  private act(action: Action): void {
    switch (action.do) {
      case 'create':
        void this.create(action.object);
        return;
      case 'delete':
        void this.delete(action);
        return;
      case 'exit':
        for (const node of this.nodes) node.exit(action.pod, action.container, action.exitCode, action.oom);
        return;
      case 'killSandbox':
        this.emit({ what: 'fault', name: 'sandbox killed' });
        for (const node of this.nodes) node.killSandbox(action.pod);
        return;
      case 'killAgent':
        this.killAgent(action);
        return;
      case 'cutPower': {
        this.agent?.process.kill();
        this.watchedFrom = undefined;
        this.emit({ what: 'powerCut', lost: this.disk.cutPower(action.lostWrites) });
        for (const node of this.nodes) node.cutPower();
        this.darkUntil = Math.max(this.darkUntil, this.nowMs + action.downMs);
        this.clock.setTimer(action.downMs, () => this.startAgent());
        return;
      }
      case 'killRuntime':
        for (const node of this.nodes) {
          node.runtime.disconnect();
          this.emit({ what: 'runtimeDied' }, node.name);
          this.clock.setTimer(action.downMs, () => {
            this.emit({ what: 'runtimeReturned' }, node.name);
            node.runtime.reconnect();
          });
        }
        return;
      case 'breakCalls':
        for (const node of this.nodes) node.breakCalls(action);
        return;
      case 'breakEvents':
        for (const node of this.nodes) {
          node.events = action.how;
          this.clock.setTimer(action.forMs, () => {
            node.events = undefined;
          });
        }
        return;
      case 'jumpWall':
        this.clock.jumpWall(action.ms);
        this.emit({ what: 'wallJumped', ms: action.ms });
        return;
      case 'fillDisk':
        this.fillDisk(true);
        this.clock.setTimer(action.forMs, () => this.fillDisk(false));
        return;
      case 'breakWatches':
        this.agent?.connection.breakWatches(action.how);
        return;
      case 'mend':
        for (const node of this.nodes) node.mend();
        this.agent?.connection.mend();
        return;
      case 'breakWrites':
        this.agent?.connection.breakWrites(action.how, action.count);
        return;
    }
  }

  private fillDisk(isFull: boolean): void {
    this.disk.full = isFull;
    for (const node of this.nodes) node.isDiskFull = isFull;
    this.emit({ what: isFull ? 'diskFull' : 'diskFreed' });
  }

  // --- users

  private async create(object: KubeObject): Promise<void> {
    const resource = Object.values(resources).find(
      (r): r is Resource =>
        typeof r === 'object' && r.kind === object.kind && resources.apiVersionOf(r) === object.apiVersion,
    );
    assert(resource, `${object.kind} is a kind that the simulator knows`);
    const named = { ...object, metadata: { ...object.metadata } };
    if (resource.namespaced) named.metadata.namespace ??= 'default';
    const { creator } = this.options;
    const options: WriteOptions = creator
      ? { fieldValidation: 'Strict', onWarning: (text) => creator.warned(object, text) }
      : {};
    const work = async (client: KubeClient): Promise<void> => {
      const made = await client.create(resource, structuredClone(named), options);
      this.acknowledge(resource.plural, made, false);
    };
    await this.asUser(work, (error) => creator?.refused(object, error));
  }

  private async delete(action: Extract<Action, { do: 'delete' }>): Promise<void> {
    const { pod, namespace = 'default', graceSeconds } = action;
    await this.asUser(async (client) => {
      const options = graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds };
      const { metadata } = await client.get(PODS, { namespace, name: pod });
      const preconditions = { uid: metadata.uid! };
      this.emit({ what: 'deletionAsked', podUID: metadata.uid!, pod, graceSeconds });
      const left = await client.delete(PODS, { namespace, name: pod }, { ...options, preconditions });
      if (left) this.acknowledge(PODS.plural, left, graceSeconds === 0);
    });
  }

  /** Until somebody answers: done, or why not. */
  private async asUser(
    work: (client: KubeClient) => Promise<void>,
    refused?: (error: ApiStatusError) => void,
  ): Promise<void> {
    for (;;) {
      const { agent } = this;
      try {
        if (agent?.process.alive) return await work(agent.client);
      } catch (error) {
        if (!(error instanceof ApiStatusError)) throw error;
        if (error.code < 500) return refused?.(error);
      }
      await this.clock.sleep(RETRY_MS);
    }
  }

  private acknowledge(collection: string, object: KubeObject, removed: boolean): void {
    const { namespace, name = '', uid = '', resourceVersion } = object.metadata;
    const key = namespace ? `${namespace}/${name}` : name;
    this.emit({ what: 'acknowledged', collection, key, uid, revision: Number(resourceVersion), removed });
  }

  /** Somebody who watches all pods from outside, and goes on where a broken watch ended. */
  private async watchPods(): Promise<void> {
    while (!this.isOver) {
      const { agent } = this;
      if (agent?.process.alive) {
        try {
          if (this.watchedFrom === undefined) {
            const list = await agent.client.list(PODS);
            this.watchedFrom = list.metadata.resourceVersion!;
            this.emit({ what: 'watched', type: 'listed', key: '', revision: Number(this.watchedFrom) });
          }
          const signal = agent.process.deathSignal;
          for await (const event of agent.client.watch(PODS, { resourceVersion: this.watchedFrom, signal })) {
            if (event.type === 'ERROR') {
              this.watchedFrom = undefined;
              break;
            }
            if (event.type === 'BOOKMARK') continue;
            const { namespace, name, resourceVersion } = event.object.metadata;
            this.watchedFrom = resourceVersion!;
            const { type } = event;
            this.emit({ what: 'watched', type, key: `${namespace}/${name}`, revision: Number(this.watchedFrom) });
          }
        } catch (error) {
          if (!isAbort(error) && !(error instanceof ApiStatusError)) throw error;
          this.watchedFrom = undefined;
        }
      }
      await this.clock.sleep(RETRY_MS);
    }
  }
}
