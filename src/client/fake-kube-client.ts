import type { DeleteOptions, Pod } from '../api/generated/types.ts';
import { applyPatch, type PatchBodyType } from '../api/patch.ts';
import { type KubeObject, PODS, type Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { formatTime } from '../api/time.ts';
import type { Clock } from '../lib/clock.ts';
import type {
  KubeClient,
  KubeList,
  ListOptions,
  ObjectKey,
  PatchType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './kube-client.ts';

/** A write as it was made. */
export interface FakeWrite {
  readonly verb: 'create' | 'update' | 'patch' | 'delete';
  readonly resource: string;
  readonly name: string;
  readonly subresource: string | undefined;
  /** The object after it. */
  readonly object: KubeObject;
}

interface Watcher {
  readonly resource: string;
  readonly push: (event: WatchEvent<KubeObject>) => void;
}

/**
 * An API server in memory for unit tests of its clients: objects, versions, watches, graceful deletion of pods. No validation, no
 * defaults; of selectors only `spec.nodeName`, which it takes as met.
 */
export class FakeKubeClient implements KubeClient {
  /** Oldest first. */
  readonly writes: FakeWrite[] = [];
  private readonly clock: Clock;
  private readonly objects = new Map<string, KubeObject>();
  private readonly watchers = new Set<Watcher>();
  private readonly failures: Error[] = [];
  private version = 0;
  private uids = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The next call fails. */
  failNext(error: Error): void {
    this.failures.push(error);
  }

  all<T extends KubeObject>(resource: Resource<T>): T[] {
    return [...this.objects].filter(([key]) => key.startsWith(`${resource.plural}/`)).map(([, object]) => object as T);
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T> {
    this.mayFail();
    return this.find(resource, key);
  }

  async list<T extends KubeObject>(resource: Resource<T>, _options?: ListOptions): Promise<KubeList<T>> {
    this.mayFail();
    return { metadata: { resourceVersion: String(this.version) }, items: this.all(resource) };
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const queue: WatchEvent<KubeObject>[] = [];
    let wake = (): void => {};
    const watcher: Watcher = {
      resource: resource.plural,
      push: (event) => {
        queue.push(event);
        wake();
      },
    };
    this.watchers.add(watcher);
    options.signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!options.signal.aborted) {
        const event = queue.shift();
        if (event) yield event as WatchEvent<T>;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.watchers.delete(watcher);
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    this.mayFail();
    const key = this.keyOf(resource, object.metadata.namespace, object.metadata.name ?? '');
    if (this.objects.has(key)) throw new ApiStatusError(409, 'AlreadyExists', `${key} already exists`);
    const created = structuredClone(object);
    created.metadata.uid ??= `uid-${++this.uids}`;
    created.metadata.creationTimestamp ??= formatTime(this.clock.now());
    if (resource.plural === 'pods') created.metadata.generation ??= 1;
    return this.put('create', resource, key, created, 'ADDED');
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T> {
    this.mayFail();
    const key = this.keyOf(resource, object.metadata.namespace, object.metadata.name ?? '');
    if (!this.objects.has(key)) throw new ApiStatusError(404, 'NotFound', `${key} not found`);
    return this.put('update', resource, key, structuredClone(object), 'MODIFIED', options?.subresource);
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    where: ObjectKey,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T> {
    this.mayFail();
    const old = this.find(resource, where);
    const uid = (patch as { metadata?: { uid?: string } }).metadata?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) throw new ApiStatusError(409, 'Conflict', 'another uid');
    const patched = applyPatch(type as PatchBodyType, resource, old, patch) as T;
    const key = this.keyOf(resource, where.namespace, where.name);
    return this.put('patch', resource, key, patched, 'MODIFIED', options?.subresource);
  }

  async delete<T extends KubeObject>(resource: Resource<T>, where: ObjectKey, options?: DeleteOptions): Promise<T> {
    this.mayFail();
    const key = this.keyOf(resource, where.namespace, where.name);
    const old = this.find(resource, where);
    const uid = options?.preconditions?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) throw new ApiStatusError(409, 'Conflict', 'another uid');
    const pod = old as unknown as Pod;
    const grace = options?.gracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    if (resource.plural === PODS.plural && grace > 0 && pod.spec.nodeName) {
      const terminating = structuredClone(old);
      const { metadata } = terminating;
      metadata.deletionTimestamp ??= formatTime(this.clock.now() + grace * 1000);
      metadata.deletionGracePeriodSeconds = Math.min(grace, metadata.deletionGracePeriodSeconds ?? grace);
      metadata.generation = (metadata.generation ?? 1) + 1;
      return this.put('delete', resource, key, terminating, 'MODIFIED');
    }
    const last = structuredClone(old);
    last.metadata.resourceVersion = String(++this.version);
    this.objects.delete(key);
    this.told('delete', resource, last, 'DELETED', undefined);
    return last;
  }

  private find<T extends KubeObject>(resource: Resource<T>, { name, namespace }: ObjectKey): T {
    const found = this.objects.get(this.keyOf(resource, namespace, name));
    if (!found) throw new ApiStatusError(404, 'NotFound', `${resource.plural} "${name}" not found`);
    return found as T;
  }

  private put<T extends KubeObject>(
    verb: FakeWrite['verb'],
    resource: Resource<T>,
    key: string,
    object: T,
    type: 'ADDED' | 'MODIFIED',
    subresource?: string,
  ): T {
    object.metadata.resourceVersion = String(++this.version);
    this.objects.set(key, object);
    this.told(verb, resource, object, type, subresource);
    return object;
  }

  private told(
    verb: FakeWrite['verb'],
    resource: Resource,
    object: KubeObject,
    type: 'ADDED' | 'MODIFIED' | 'DELETED',
    subresource: string | undefined,
  ): void {
    this.writes.push({ verb, resource: resource.plural, name: object.metadata.name ?? '', subresource, object });
    for (const watcher of this.watchers) if (watcher.resource === resource.plural) watcher.push({ type, object });
  }

  private keyOf(resource: Resource, namespace: string | undefined, name: string): string {
    return `${resource.plural}/${resource.namespaced ? (namespace ?? '') : ''}/${name}`;
  }

  private mayFail(): void {
    const error = this.failures.shift();
    if (error) throw error;
  }
}
