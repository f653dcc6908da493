import { decodeObject } from '../api/decode.ts';
import type { DeleteOptions } from '../api/generated/types.ts';
import { apiVersionOf, type KubeObject, type Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type {
  KubeClient,
  KubeList,
  ListOptions,
  ObjectKey,
  PatchType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../client/kube-client.ts';
import { expired, noSuchResource, unsupportedApply } from './registry/api-errors.ts';
import type { ResourceDefinition } from './registry/resource-definition.ts';
import type { ResourceRequests, Target, WriteRequest } from './registry/resource-requests.ts';
import { findResource } from './registry/resource-table.ts';

/** A reader in our own process that is this far behind is cut off, as a slow watcher over HTTP is. */
const MAX_QUEUED_EVENTS = 10_000;

/** The embedded API server without HTTP and without JSON text: what it returns is what is stored, so treat it as frozen. */
export class LocalKubeClient implements KubeClient {
  private readonly requests: ResourceRequests;

  constructor(requests: ResourceRequests) {
    this.requests = requests;
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T> {
    return this.requests.get(targetOf(resource, key)).object as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const page = this.requests.list(definitionOf(resource), options);
    return {
      kind: `${resource.kind}List`,
      apiVersion: apiVersionOf(resource),
      metadata: {
        resourceVersion: String(page.revision),
        ...(page.continue ? { continue: page.continue } : {}),
        ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
      },
      items: page.items.map(({ object }) => object as T),
    };
  }

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    { signal, ...options }: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const queue: WatchEvent<T>[] = [];
    let wake = (): void => {};
    let stop = (): void => {};
    let ended = signal.aborted;
    const end = (): void => {
      ended = true;
      stop();
      wake();
    };
    const push = (event: WatchEvent<T>): void => {
      if (ended) return;
      if (queue.length < MAX_QUEUED_EVENTS) queue.push(event);
      else {
        queue.push(errorEvent(expired('the watcher was too slow')));
        end();
      }
      wake();
    };
    signal.addEventListener('abort', end, { once: true });
    try {
      if (!ended) {
        stop = this.requests.watch(definitionOf(resource), options, {
          event: ({ type, version }) => push({ type, object: version.object as T }),
        });
      }
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) yield event;
        else if (ended) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } catch (error) {
      if (!(error instanceof ApiStatusError) || error.code !== 410) throw error;
      yield errorEvent(error);
    } finally {
      signal.removeEventListener('abort', end);
      stop();
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const definition = definitionOf(resource);
    const { namespace, name = '' } = object.metadata;
    if (options.subresource === undefined) {
      return this.requests.create(definition, namespace, bodyOf(object, options), requestOf(options)).object as T;
    }
    const target: Target = { definition, namespace, name, subresource: options.subresource };
    this.requests.createSubresource(target, bodyOf(object, options), requestOf(options));
    return object;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name = '' } = object.metadata;
    const target = targetOf(resource, { name, namespace }, options.subresource);
    return this.requests.update(target, bodyOf(object, options), requestOf(options)).version.object as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    if (type === 'apply') throw unsupportedApply();
    const target = targetOf(resource, key, options.subresource);
    return this.requests.patch(target, type, patch, requestOf(options)).object as T;
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const target = targetOf(resource, key);
    const { version, gone } = this.requests.delete(target, options);
    return gone && !target.definition.returnsDeleted ? undefined : (version.object as T);
  }
}

function definitionOf(resource: Resource): ResourceDefinition {
  const definition = findResource(resource);
  if (!definition) throw noSuchResource();
  return definition;
}

function targetOf(resource: Resource, { name, namespace }: ObjectKey, subresource?: string): Target {
  return { definition: definitionOf(resource), namespace, name, subresource };
}

function requestOf({ dryRun, fieldValidation, onWarning }: WriteOptions): WriteRequest {
  return { dryRun, fieldValidation, warn: onWarning };
}

/** Decoding copies, so that the caller keeps its object. */
function bodyOf(object: KubeObject, { fieldValidation }: WriteOptions) {
  return <U extends KubeObject>(resource: Resource<U>) => decodeObject(resource, object, { fieldValidation });
}

function errorEvent<T>(error: ApiStatusError): WatchEvent<T> {
  return { type: 'ERROR', object: error.toStatus() };
}
