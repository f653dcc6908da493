import type { KubeObject, Resource } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { KubeClient } from './kube-client.ts';

/** Told of every change, in order. Must not block; what they throw is logged. */
export interface InformerHandlers<T> {
  add?(object: T): void;
  update?(object: T, old: T): void;
  /** @param object the last state that was seen */
  delete?(object: T): void;
}

export interface InformerOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly resource: Resource<T>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * Keeps a copy of a resource's objects up to date: a list, then a watch from there; a broken watch is taken up where it ended, a
 * compacted one by listing again, and what changed in between is told as if it had been seen. Nobody sees an object go backwards.
 */
export class Informer<T extends KubeObject> {
  /** Resolves when the first list is in the store and its handlers were told. */
  readonly synced: Promise<void>;
  private readonly options: InformerOptions<T>;
  private readonly objects = new Map<string, T>();
  private readonly handlers = new Set<InformerHandlers<T>>();
  private markSynced = (): void => {};
  private resourceVersion: string | undefined;
  private delayMs = 0;

  constructor(options: InformerOptions<T>) {
    this.options = options;
    this.synced = new Promise((resolve) => {
      this.markSynced = resolve;
    });
  }

  /** What is known of this object. */
  get(name: string, namespace?: string): T | undefined {
    return this.objects.get(keyOf({ name, namespace }));
  }

  list(): T[] {
    return [...this.objects.values()];
  }

  /** Objects that are known already are told as added. @returns how to stop hearing */
  addHandlers(handlers: InformerHandlers<T>): () => void {
    this.handlers.add(handlers);
    for (const object of this.objects.values()) this.tell(handlers, (h) => h.add?.(object));
    return () => this.handlers.delete(handlers);
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, resource } = this.options;
    while (!signal.aborted) {
      try {
        if (this.resourceVersion === undefined) await this.relist();
        if (signal.aborted) return;
        // A server that ends every watch at once must not be asked without a pause.
        if (!(await this.follow(signal))) await clock.sleep(FIRST_DELAY_MS, signal);
      } catch (error) {
        if (isAbort(error)) return;
        if (hasReason(error, 'Expired') || hasReason(error, 'Gone')) this.resourceVersion = undefined;
        this.delayMs = Math.min(MAX_DELAY_MS, this.delayMs === 0 ? FIRST_DELAY_MS : this.delayMs * 2);
        logger.warn(
          { resource: resource.plural, error: messageOf(error), retryMs: this.delayMs },
          'informer lost its watch',
        );
        await clock.sleep(this.delayMs, signal).catch(() => {});
      }
    }
  }

  private async relist(): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.options;
    const list = await client.list(resource, { namespace, labelSelector, fieldSelector });
    const seen = new Set<string>();
    for (const object of list.items) {
      seen.add(keyOf(object.metadata));
      this.put(object);
    }
    for (const [key, object] of this.objects) if (!seen.has(key)) this.remove(object);
    this.resourceVersion = list.metadata.resourceVersion ?? '0';
    this.delayMs = 0;
    this.markSynced();
  }

  /** One watch, from where we stand, until it ends. @returns whether it told anything */
  private async follow(signal: AbortSignal): Promise<boolean> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.options;
    const { resourceVersion } = this;
    const watch = { namespace, labelSelector, fieldSelector, resourceVersion, allowWatchBookmarks: true, signal };
    let told = false;
    for await (const event of client.watch(resource, watch)) {
      told = true;
      if (event.type === 'ERROR') {
        // Whatever went wrong, a new list puts it right.
        this.resourceVersion = undefined;
        if (event.object.code === 410) return true;
        throw new Error(event.object.message ?? 'the watch failed');
      }
      if (event.type === 'DELETED') this.remove(event.object);
      else if (event.type !== 'BOOKMARK') this.put(event.object);
      this.resourceVersion = event.object.metadata.resourceVersion ?? this.resourceVersion;
      this.delayMs = 0;
    }
    return told;
  }

  private put(object: T): void {
    const key = keyOf(object.metadata);
    const old = this.objects.get(key);
    if (old && old.metadata.uid !== object.metadata.uid) {
      // Deleted and created anew while nobody looked.
      this.remove(old);
      this.put(object);
      return;
    }
    if (old?.metadata.resourceVersion === object.metadata.resourceVersion && old) return;
    this.objects.set(key, object);
    for (const handlers of this.handlers) {
      this.tell(handlers, (h) => (old ? h.update?.(object, old) : h.add?.(object)));
    }
  }

  private remove(object: T): void {
    if (!this.objects.delete(keyOf(object.metadata))) return;
    for (const handlers of this.handlers) this.tell(handlers, (h) => h.delete?.(object));
  }

  private tell(handlers: InformerHandlers<T>, call: (handlers: InformerHandlers<T>) => void): void {
    try {
      call(handlers);
    } catch (error) {
      this.options.logger.error({ error, resource: this.options.resource.plural }, 'an informer handler failed');
    }
  }
}

function keyOf({ namespace, name }: { namespace?: string | undefined; name?: string | undefined }): string {
  return namespace ? `${namespace}/${name}` : (name ?? '');
}
