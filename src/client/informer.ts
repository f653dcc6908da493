import type { KubeObject, Resource } from '../api/resources.ts';
import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { KubeClient, ListOptions } from './kube-client.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly resource: Resource<T>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly select?: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>;
  /** Called synchronously, in order; must not throw. An object that was replaced by another of its name is deleted, then added. */
  readonly onSet: (object: T, before: T | undefined) => void;
  /** @param isLastState false when the deletion was missed: `object` is what was known before */
  readonly onDelete: (object: T, isLastState: boolean) => void;
}

const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;

/** A local copy of a collection that follows the API server: lists, watches, and lists again when the watch cannot go on. */
export class Informer<T extends KubeObject> {
  private readonly options: InformerOptions<T>;
  private readonly objects = new Map<string, T>();
  private readonly synced = Promise.withResolvers<void>();
  private isSynced = false;

  constructor(options: InformerOptions<T>) {
    this.options = options;
  }

  /** Follows until the signal aborts. Resolves once the first list is in, or the signal aborts. */
  start(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.synced.resolve(), { once: true });
    void this.follow(signal);
    return this.synced.promise;
  }

  get hasSynced(): boolean {
    return this.isSynced;
  }

  list(): T[] {
    return [...this.objects.values()];
  }

  get(name: string, namespace = ''): T | undefined {
    return this.objects.get(`${namespace}/${name}`);
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const { clock, logger, resource } = this.options;
    let version: string | undefined;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        if (version === undefined) version = await this.listAll();
        const next = await this.watchFrom(version, signal);
        if (next !== version) retryMs = FIRST_RETRY_MS;
        version = next;
      } catch (error) {
        if (signal.aborted || isAbort(error)) return;
        logger.debug({ resource: resource.plural, error: messageOf(error) }, 'watch broke, listing again');
        version = undefined;
      }
      // A server that ends every watch at once must not make us spin.
      try {
        await clock.sleep(retryMs, signal);
      } catch {
        return;
      }
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    }
  }

  private async listAll(): Promise<string> {
    const { client, resource, select } = this.options;
    const { items, metadata } = await client.list(resource, select);
    const listed = new Set(items.map(keyOf));
    for (const [key, old] of this.objects) {
      if (listed.has(key)) continue;
      this.objects.delete(key);
      this.options.onDelete(old, false);
    }
    for (const item of items) this.put(item);
    this.isSynced = true;
    this.synced.resolve();
    return metadata.resourceVersion ?? '';
  }

  /** @returns where to go on, or undefined when only a new list helps */
  private async watchFrom(start: string, signal: AbortSignal): Promise<string | undefined> {
    const { client, resource, select } = this.options;
    let version = start;
    const watch = client.watch(resource, { ...select, resourceVersion: version, allowWatchBookmarks: true, signal });
    for await (const event of watch) {
      if (event.type === 'ERROR') return undefined;
      const { object } = event;
      version = object.metadata.resourceVersion ?? version;
      if (event.type === 'DELETED') {
        this.objects.delete(keyOf(object));
        this.options.onDelete(object, true);
      } else if (event.type !== 'BOOKMARK') this.put(object);
    }
    return version;
  }

  private put(object: T): void {
    const key = keyOf(object);
    let before = this.objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.objects.delete(key);
      this.options.onDelete(before, false);
      before = undefined;
    }
    if (before?.metadata.resourceVersion !== undefined) {
      if (before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    }
    this.objects.set(key, object);
    this.options.onSet(object, before);
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}
