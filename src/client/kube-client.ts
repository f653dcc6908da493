import type { DeleteOptions, ListMeta } from '../api/generated/types.ts';
import type { KubeObject, Resource } from '../api/resources.ts';

export interface KubeList<T> {
  apiVersion?: string;
  kind?: string;
  metadata: ListMeta;
  items: T[];
}

/** One line of a watch. After `ERROR` (a Status) the stream ends. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: { code?: number; message?: string; reason?: string } };

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface ObjectKey {
  readonly name: string;
  /** Required for namespaced resources. */
  readonly namespace?: string | undefined;
}

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
}

export interface WatchOptions extends Omit<ListOptions, 'limit' | 'continue'> {
  readonly signal: AbortSignal;
  readonly allowWatchBookmarks?: boolean | undefined;
}

export interface WriteOptions {
  /** `status`, `binding`, ... */
  readonly subresource?: string | undefined;
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** What to do with unknown and duplicate fields; the server's default is Warn. */
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict' | undefined;
  /** Called with each warning the server gives (the text of its `Warning` header). */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Apply patches only: take over fields that others own. */
  readonly force?: boolean | undefined;
}

/**
 * The one way in which kubelet, controllers, proxy and CLI talk to an API server. Two implementations: in-process calls into the
 * embedded API server, and HTTPS to any API server. Every method rejects with `ApiStatusError` when the server answers with a
 * Status, and with an AbortError when cancelled. Objects returned may be shared: treat them as frozen.
 */
export interface KubeClient {
  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<KubeList<T>>;
  /**
   * Events after `resourceVersion` in order, without gap or double, until the signal aborts (the iteration then ends without
   * an error), the server closes the stream, or an `ERROR` event (410 Gone: list again) was delivered.
   */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces; with `metadata.resourceVersion` set, only if nothing else wrote in between (409 otherwise). */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  /** Resolves with the deleted (or now terminating) object, or undefined when the server answers with a bare Status. */
  delete<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options?: DeleteOptions): Promise<T | undefined>;
}
