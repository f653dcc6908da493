import { type Decoded, decodePatched, type FieldValidation } from '../../api/decode.ts';
import type { Binding, DeleteOptions, Eviction, Namespace, Pod, PodCondition } from '../../api/generated/types.ts';
import { applyPatch, type PatchBodyType } from '../../api/patch.ts';
import { type KubeObject, PODS, type Resource } from '../../api/resources.ts';
import type { ApiStatusError } from '../../api/status-error.ts';
import { formatTime } from '../../api/time.ts';
import { forbidden as forbiddenField, invalidError, required } from '../../api/validation/field-error.ts';
import type { Clock } from '../../lib/clock.ts';
import type { PodTraces } from '../../lib/pod-traces.ts';
import type { Version } from '../storage/mvcc.ts';
import { badRequest, conflict, methodNotAllowed, noSuchResource } from './api-errors.ts';
import type { ClusterAdmission } from './cluster-admission.ts';
import type { ReadOptions } from './list-options.ts';
import { checkPreconditions, type Deleted, matchName, type Page, type Registry, type WatchSink } from './registry.ts';
import { hasSubresource, type ResourceDefinition } from './resource-definition.ts';

/** An object, or one of its parts. */
export interface Target {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly subresource?: string | undefined;
}

export interface WriteRequest {
  readonly dryRun?: boolean | undefined;
  readonly fieldValidation?: FieldValidation | undefined;
  readonly warn?: ((text: string) => void) | undefined;
}

/** Decodes the request's body as an object of this resource. @throws ApiStatusError 400 */
export type Body = <T extends KubeObject>(resource: Resource<T>) => Decoded<T>;

const BINDINGS: Resource<Binding> = { group: '', version: 'v1', plural: 'bindings', kind: 'Binding', namespaced: true };
const EVICTIONS = {
  group: 'policy',
  version: 'v1',
  plural: 'evictions',
  kind: 'Eviction',
  namespaced: true,
} as Resource<Eviction & KubeObject>;

/**
 * What can be asked of resources, in whatever form the request came: decoded objects in, versions out. Shared by the HTTP handlers
 * and the in-process client, so that both behave alike.
 */
export class ResourceRequests {
  private readonly registry: Registry;
  private readonly admission: ClusterAdmission;
  private readonly clock: Clock;
  private readonly traces: PodTraces | undefined;

  /** @param traces where pods' lives begin and end */
  constructor(registry: Registry, admission: ClusterAdmission, clock: Clock, traces?: PodTraces) {
    this.registry = registry;
    this.admission = admission;
    this.clock = clock;
    this.traces = traces;
    registry.store.subscribe(PODS.plural, ({ deleted, after }) => {
      if (deleted) traces?.forget(after.object.metadata.uid!);
    });
  }

  /** Of the newest change of all. */
  get revision(): number {
    return this.registry.store.revision;
  }

  /** @param resourceVersion what the answer must not be older than */
  get({ definition, namespace, name, subresource }: Target, resourceVersion?: string): Version {
    if (subresource !== undefined && !readsObject(definition, subresource)) throw noSuchResource();
    return show(definition, this.registry.get(definition, namespace, name, resourceVersion));
  }

  list(definition: ResourceDefinition, options: ReadOptions): Page {
    const page = this.registry.list(definition, options);
    return definition.view ? { ...page, items: page.items.map((version) => show(definition, version)) } : page;
  }

  /** @returns how to stop */
  watch(definition: ResourceDefinition, options: ReadOptions, sink: WatchSink): () => void {
    if (!definition.view) return this.registry.watch(definition, options, sink);
    return this.registry.watch(definition, options, {
      ...sink,
      event: ({ type, version }) => sink.event({ type, version: show(definition, version) }),
    });
  }

  create(
    definition: ResourceDefinition,
    namespace: string | undefined,
    body: Body,
    request: WriteRequest = {},
  ): Version {
    const startedAt = this.clock.monotonic();
    const object = stored(definition, this.decode(body, definition.resource, request));
    const version = this.registry.create(definition, namespace, object, request);
    if (definition.resource === PODS && !request.dryRun) {
      const podUID = version.object.metadata.uid!;
      this.traces?.created(podUID, startedAt);
      this.traces?.note({ podUID }, 'create', 'decoded, admitted, stored', startedAt);
    }
    return show(definition, version);
  }

  /** POST to a subresource. These answer with a bare success. */
  createSubresource(target: Target, body: Body, request: WriteRequest = {}): void {
    const { definition, subresource = '' } = target;
    const handler = { binding: this.bind, eviction: this.evict }[subresource];
    if (!handler || !hasSubresource(definition, subresource)) throw methodNotAllowed();
    handler.call(this, target, body, request);
  }

  /** @returns whether the object is new, and its version */
  update(target: Target, body: Body, request: WriteRequest = {}): { created: boolean; version: Version } {
    const { definition, namespace, name, subresource } = target;
    const object = stored(definition, this.decode(body, definition.resource, request));
    matchName(object, name);
    if (subresource === 'finalize' && hasSubresource(definition, subresource)) {
      this.registry.get(definition, undefined, name);
      const finalizers = (object as Namespace).spec?.finalizers ?? [];
      const now = this.admission.finalize(name, finalizers);
      return { created: false, version: this.registry.store.get(definition.collection, name) ?? bare(name, now) };
    }
    const options = { ...request, status: this.writesStatus(target) };
    if (definition.createsOnUpdate && !subresource && !this.exists(target)) {
      // Whoever replaces what has gone in the meantime has its version still.
      delete object.metadata.resourceVersion;
      return { created: true, version: show(definition, this.registry.create(definition, namespace, object, request)) };
    }
    const version = this.registry.update(definition, namespace, name, () => object, options);
    return { created: false, version: show(definition, version) };
  }

  /** @param patch the decoded body */
  patch(target: Target, type: PatchBodyType, patch: unknown, request: WriteRequest = {}): Version {
    const { definition, namespace, name } = target;
    const change = (old: KubeObject): KubeObject => {
      const shown = definition.view?.fromStored(old) ?? old;
      const patched = applyPatch(type, definition.resource, shown, patch);
      const body: Body = (resource) => decodePatched(resource, patched, { type, patch }, request);
      return stored(definition, this.decode(body, definition.resource, request));
    };
    const options = { ...request, status: this.writesStatus(target) };
    return show(definition, this.registry.update(definition, namespace, name, change, options));
  }

  delete({ definition, namespace, name, subresource }: Target, options: DeleteOptions): Deleted {
    if (subresource !== undefined) throw methodNotAllowed();
    const deleted = this.registry.delete(definition, namespace, name, options);
    return { ...deleted, version: show(definition, deleted.version) };
  }

  deleteCollection(definition: ResourceDefinition, selection: ReadOptions, options: DeleteOptions): Page {
    const page = this.registry.deleteCollection(definition, selection, options);
    return { ...page, items: page.items.map((version) => show(definition, version)) };
  }

  private exists({ definition, namespace, name }: Target): boolean {
    const key = definition.resource.namespaced ? `${namespace}/${name}` : name;
    return this.registry.store.get(definition.collection, key) !== undefined;
  }

  /** Whether the target is the status. @throws ApiStatusError when it is a subresource that cannot be replaced */
  private writesStatus({ definition, name, subresource }: Target): boolean {
    if (subresource === undefined) return false;
    if (!hasSubresource(definition, subresource)) throw noSuchResource();
    if (subresource === 'ephemeralcontainers') {
      const why = 'ephemeral containers are not carried out by kubelette yet';
      throw invalidError(definition.resource, name, [forbiddenField('spec.ephemeralContainers', why)]);
    }
    if (subresource !== 'status') throw methodNotAllowed();
    return true;
  }

  private decode<T extends KubeObject>(body: Body, resource: Resource<T>, { warn }: WriteRequest): T {
    const { object, warnings } = body(resource);
    if (warn) for (const text of warnings) warn(text);
    object.metadata ??= {};
    return object;
  }

  /** Source: pkg/registry/core/pod/storage assignPod */
  private bind({ definition, namespace, name }: Target, body: Body, request: WriteRequest): void {
    const { metadata, target } = this.decode(body, BINDINGS, request);
    if (metadata.name !== name) throw badRequest('name in URL does not match name in Binding object');
    if (target?.kind && target.kind !== 'Node') {
      const detail = 'supported values: "Node", "<empty>"';
      throw invalidError(BINDINGS, name, [{ type: 'NotSupported', field: 'target.kind', value: target.kind, detail }]);
    }
    if (!target?.name) throw invalidError(BINDINGS, name, [required('target.name')]);
    const change = (old: KubeObject): KubeObject => {
      const pod = structuredClone(old) as Pod;
      const refuse = (why: string): ApiStatusError => conflict({ group: '', plural: 'pods/binding' }, name, why);
      if (pod.metadata.deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
      if (pod.spec.nodeName)
        throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
      if (pod.spec.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
      return pod;
    };
    const prepare = (object: KubeObject): void => {
      const pod = object as Pod;
      pod.spec.nodeName = target.name;
      setPodCondition(pod, {
        type: 'PodScheduled',
        status: 'True',
        lastTransitionTime: formatTime(this.clock.now()),
      });
    };
    const startedAt = this.clock.monotonic();
    const { object } = this.registry.update(definition, namespace, name, change, { ...request, prepare });
    this.traces?.note({ podUID: object.metadata.uid! }, 'bind', target.name, startedAt);
  }

  /** Source: pkg/registry/core/pod/storage/eviction.go; there are no disruption budgets */
  private evict({ definition, namespace, name }: Target, body: Body, request: WriteRequest): void {
    const { metadata, deleteOptions } = this.decode(body, EVICTIONS, request);
    if (metadata.name !== name) throw badRequest('name in URL does not match name in Eviction object');
    const dryRun = request.dryRun || deleteOptions?.dryRun?.length ? ['All'] : undefined;
    if (dryRun) {
      this.registry.delete(definition, namespace, name, { ...deleteOptions, dryRun });
      return;
    }
    const { preconditions, ...options } = deleteOptions ?? {};
    const change = (old: KubeObject): KubeObject => {
      checkPreconditions(definition, old, preconditions);
      return structuredClone(old);
    };
    const prepare = (object: KubeObject): void => {
      setPodCondition(object as Pod, {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'EvictionByEvictionAPI',
        message: 'Eviction API: evicting',
        lastTransitionTime: formatTime(this.clock.now()),
      });
    };
    this.registry.update(definition, namespace, name, change, { prepare });
    this.registry.delete(definition, namespace, name, options);
  }
}

/** Puts a condition in the place of the one of its type; one that says the same keeps its time. */
function setPodCondition(pod: Pod, condition: PodCondition): void {
  const conditions = pod.status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === condition.type);
  const lastTransitionTime =
    before?.status === condition.status ? before.lastTransitionTime : condition.lastTransitionTime;
  const others = conditions.filter((each) => each !== before);
  pod.status = { ...pod.status, conditions: [...others, { ...condition, lastTransitionTime }] };
}

/** Subresources whose GET shows the object itself. */
function readsObject(definition: ResourceDefinition, subresource: string): boolean {
  return definition.subresources.some(
    ({ name, kind, verbs }) => name === subresource && kind === definition.resource.kind && verbs.includes('get'),
  );
}

/** A stored version in the form that this resource shows. */
function show({ view }: ResourceDefinition, version: Version): Version {
  return view ? { ...version, ...render(view.fromStored(version.object)) } : version;
}

function bare(key: string, object: KubeObject): Version {
  return { key, revision: 0, ...render(object) };
}

function render(object: KubeObject): Pick<Version, 'object' | 'text'> {
  const { kind: _, apiVersion: __, ...body } = object;
  return { object, text: JSON.stringify(body) };
}

function stored({ view }: ResourceDefinition, object: KubeObject): KubeObject {
  return view ? view.toStored(object) : object;
}
