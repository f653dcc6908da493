import type { KubeObject, Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeClient, WatchEvent, WatchOptions } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import type { FactBody } from './fact.ts';
import type { Action } from './scenario.ts';

type WriteFault = Extract<Action, { do: 'breakWrites' }>['how'];
type WatchFault = Extract<Action, { do: 'breakWatches' }>['how'];

const WRITES = new Set(['create', 'update', 'patch', 'delete']);

/** An API server's client over a connection that somebody may disturb. It tells of every write that was acknowledged. */
export class FaultyClient {
  readonly client: KubeClient;
  private readonly inner: KubeClient;
  private readonly clock: Clock;
  private readonly latencyMs: () => number;
  private readonly emit: (fact: FactBody) => void;
  private readonly watches = new Set<(how: WatchFault) => void>();
  private fault: { readonly how: WriteFault; left: number } | undefined;

  constructor(options: {
    readonly client: KubeClient;
    readonly clock: Clock;
    /** How long a call takes, drawn anew each time. */
    readonly latencyMs: () => number;
    readonly emit: (fact: FactBody) => void;
  }) {
    this.inner = options.client;
    this.clock = options.clock;
    this.latencyMs = options.latencyMs;
    this.emit = options.emit;
    this.client = {
      get: (resource, key) => this.call('get', resource, () => this.inner.get(resource, key)),
      list: (resource, given) => this.call('list', resource, () => this.inner.list(resource, given)),
      create: (resource, object, given) =>
        this.call('create', resource, () => this.inner.create(resource, object, given)),
      update: (resource, object, given) =>
        this.call('update', resource, () => this.inner.update(resource, object, given)),
      patch: (resource, key, type, patch, given) =>
        this.call('patch', resource, () => this.inner.patch(resource, key, type, patch, given)),
      delete: (resource, key, given) => this.call('delete', resource, () => this.inner.delete(resource, key, given)),
      watch: (resource, given) => this.watch(resource, given),
    };
  }

  breakWrites(how: WriteFault, count: number): void {
    this.fault = { how, left: count };
  }

  /** No write is broken any more. */
  mend(): void {
    this.fault = undefined;
  }

  breakWatches(how: WatchFault): void {
    for (const disturb of [...this.watches]) disturb(how);
  }

  private async call<T>(verb: string, resource: Resource, act: () => Promise<T>): Promise<T> {
    const latencyMs = this.latencyMs();
    if (latencyMs > 0) await this.clock.sleep(latencyMs);
    const how = WRITES.has(verb) ? this.takeFault() : undefined;
    if (how === 'conflict') {
      throw new ApiStatusError(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest',
      );
    }
    if (how === 'fail') throw new ApiStatusError(500, 'InternalError', 'Internal error occurred: simulated');
    const answer = await act();
    if (how === 'loseAnswer') throw new Error('socket hang up');
    if (WRITES.has(verb)) this.acknowledge(resource, answer, verb === 'delete');
    return answer;
  }

  private takeFault(): WriteFault | undefined {
    const { fault } = this;
    if (!fault || fault.left === 0) return undefined;
    fault.left--;
    this.emit({ what: 'fault', name: `write ${fault.how}` });
    return fault.how;
  }

  private acknowledge(resource: Resource, answer: unknown, removed: boolean): void {
    const { metadata } = (answer ?? {}) as Partial<KubeObject>;
    if (!metadata?.resourceVersion || resource.plural === 'events') return;
    const { namespace, name = '', uid = '', resourceVersion } = metadata;
    const key = namespace ? `${namespace}/${name}` : name;
    this.emit({
      what: 'acknowledged',
      collection: resource.plural,
      key,
      uid,
      revision: Number(resourceVersion),
      removed: removed && !(metadata.deletionGracePeriodSeconds || metadata.finalizers?.length),
    });
  }

  private async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const broken = new AbortController();
    let how: WatchFault | undefined;
    const disturb = (fault: WatchFault): void => {
      how = fault;
      this.emit({ what: 'fault', name: `watch ${fault}` });
      broken.abort();
    };
    this.watches.add(disturb);
    try {
      const signal = AbortSignal.any([options.signal, broken.signal]);
      for await (const event of this.inner.watch(resource, { ...options, signal })) {
        yield event;
        if (broken.signal.aborted) break;
      }
      if (options.signal.aborted || how === undefined || how === 'end') return;
      if (how === 'fail') throw new Error('socket hang up');
      yield { type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old resource version' } };
    } finally {
      this.watches.delete(disturb);
    }
  }
}
