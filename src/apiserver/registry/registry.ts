import { isDeepStrictEqual } from 'node:util';
import { applyDefaults } from '../../api/defaults.ts';
import type { DeleteOptions, Preconditions } from '../../api/generated/types.ts';
import type { KubeObject, Resource } from '../../api/resources.ts';
import { formatTime, parseTime } from '../../api/time.ts';
import { type FieldError, forbidden, invalidError } from '../../api/validation/field-error.ts';
import { validate, validateStatusUpdate, validateUpdate } from '../../api/validation/validate.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { type Change, CompactedError, type Version } from '../storage/mvcc.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  notFound,
  staleVersion,
  unclassified,
  versionTooLarge,
} from './api-errors.ts';
import {
  decodeContinue,
  encodeContinue,
  listVersion,
  type ReadOptions,
  validateReadOptions,
  watchVersion,
  writeVersion,
} from './list-options.ts';
import type { ResourceDefinition } from './resource-definition.ts';
import { type Selection, select } from './selection.ts';
import { filterChange, type Seen } from './watch-filter.ts';

export interface Page {
  readonly revision: number;
  readonly items: readonly Version[];
  readonly continue: string | undefined;
  readonly remaining: number | undefined;
}

/** Where a watch's events go. Called synchronously, in order; must not throw, block or write. */
export interface WatchSink {
  event(seen: Seen): void;
  /** All objects of the initial list have been sent; `revision` is where the stream stands. */
  initialEventsEnd?(revision: number): void;
}

export interface Writing {
  readonly dryRun?: boolean | undefined;
  /** Told of what deserves a `Warning` header. */
  readonly warn?: ((text: string) => void) | undefined;
}

export interface Updating extends Writing {
  /** Writes the status, labels, annotations and finalizers only. */
  readonly status?: boolean | undefined;
  /** Instead of the strategy's: for subresources that change something else. */
  readonly prepare?: ((object: KubeObject, old: KubeObject) => void) | undefined;
}

export interface Deleted {
  /** The object as it was deleted, or as it is now when it is not gone yet. */
  readonly version: Version;
  readonly gone: boolean;
}

/** What depends on other objects: who may come and go, and what follows from it. */
export interface Admission {
  /** Fills in and refuses. @throws ApiStatusError */
  admitCreate(definition: ResourceDefinition, object: KubeObject): void;
  /** Fills in what an update of the object itself leaves out. */
  admitUpdate(definition: ResourceDefinition, object: KubeObject, old: KubeObject): void;
  /** Gives an object that is to be written what no other may have. @returns what is wrong with what it asks for */
  allocate(definition: ResourceDefinition, object: KubeObject, old?: KubeObject): FieldError[];
  /** @throws ApiStatusError 403 */
  admitDelete(definition: ResourceDefinition, object: KubeObject): void;
  /** An object was created, marked for deletion, or is gone. May write. */
  afterCreate(definition: ResourceDefinition, object: KubeObject): void;
  afterMark(definition: ResourceDefinition, object: KubeObject): void;
  afterGone(definition: ResourceDefinition, object: KubeObject): void;
}

/** Generated names: how much of the prefix stays, how long the random rest is, how often another is tried. */
const MAX_GENERATED_BASE = 58;
const SUFFIX_LENGTH = 5;
const GENERATE_ATTEMPTS = 8;

/**
 * Reads and writes objects by the rules that all resources share; what is particular stands in each resource's strategy.
 * Synchronous: a request sees the store as one state, and nothing comes between its reading and its writing.
 * Source: apiserver pkg/registry/generic/registry/store.go and pkg/registry/rest
 */
export class Registry {
  readonly store: ObjectStore;
  readonly clock: Clock;
  private readonly random: Random;
  private readonly admission: Admission;

  /** @param admission makes what stands beside the registry; it may use the registry later */
  constructor(store: ObjectStore, clock: Clock, random: Random, admission: (registry: Registry) => Admission) {
    this.store = store;
    this.clock = clock;
    this.random = random;
    this.admission = admission(this);
  }

  /**
   * @param resourceVersion what the answer must not be older than
   * @throws ApiStatusError 404, 500, 504
   */
  get(definition: ResourceDefinition, namespace: string | undefined, name: string, resourceVersion?: string): Version {
    const asked = watchVersion(resourceVersion) ?? 0;
    if (asked > this.store.revision) throw versionTooLarge(asked, this.store.revision);
    const version = this.store.get(definition.collection, keyOf(definition, namespace, name));
    if (!version) throw notFound(definition.resource, name);
    return version;
  }

  /** @throws ApiStatusError 400, 410, 422, 504 */
  list(definition: ResourceDefinition, options: ReadOptions): Page {
    validateReadOptions(options, false);
    const selection = select(definition.resource, options);
    const { prefix } = selection;
    const token = options.continue ? decodeContinue(options.continue) : undefined;
    if (token && options.resourceVersion && options.resourceVersion !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const asked = listVersion(options.resourceVersion);
    if (asked !== undefined && asked > this.store.revision) throw versionTooLarge(asked, this.store.revision);
    const exact = options.resourceVersionMatch === 'Exact' || (options.limit && !options.resourceVersionMatch && asked);
    const revision = token?.revision ?? (exact ? asked! : this.store.revision);

    const all = this.scan(definition, selection, revision);
    const start = token ? prefix + token.start : undefined;
    const items: Version[] = [];
    let next: string | undefined;
    let remaining = 0;
    for (const version of all) {
      if (start !== undefined && version.key < start) continue;
      if (next !== undefined) {
        remaining++;
      } else if (options.limit && items.length === options.limit) {
        next = `${items.at(-1)!.key.slice(prefix.length)}\0`;
        remaining++;
        // With selectors nobody knows how many of the rest will match.
        if (selection.narrowed) break;
      } else if (selection.matches(version)) items.push(version);
    }
    return {
      revision,
      items,
      continue: next === undefined ? undefined : encodeContinue({ revision, start: next }),
      remaining: next === undefined || selection.narrowed ? undefined : remaining,
    };
  }

  private scan(definition: ResourceDefinition, selection: Selection, revision: number): Iterable<Version> {
    const { collection } = definition;
    try {
      if (selection.key === undefined || revision !== this.store.revision) {
        return this.store.scanAt(collection, selection.prefix, revision);
      }
      const version = this.store.get(collection, selection.key);
      return version ? [version] : [];
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
      throw expired(
        'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
      );
    }
  }

  /**
   * Sends what happens after `resourceVersion` (without one, or with "0": first what there is) until the returned function is called.
   * @throws ApiStatusError 410 when the history does not reach back that far, 422, 500
   */
  watch(definition: ResourceDefinition, options: ReadOptions, sink: WatchSink): () => void {
    validateReadOptions(options, true);
    const selection = select(definition.resource, options);
    const asked = watchVersion(options.resourceVersion) ?? 0;
    const { collection } = definition;
    if (asked === 0 || options.sendInitialEvents) {
      if (asked > this.store.revision) throw versionTooLarge(asked, this.store.revision);
      for (const version of this.scan(definition, selection, this.store.revision)) {
        if (selection.matches(version)) sink.event({ type: 'ADDED', version });
      }
      if (options.sendInitialEvents) sink.initialEventsEnd?.(this.store.revision);
    } else {
      let missed: Change[];
      try {
        missed = this.store.changesSince(collection, asked);
      } catch (error) {
        if (!(error instanceof CompactedError)) throw error;
        throw expired(`too old resource version: ${asked} (${error.oldest})`);
      }
      for (const change of missed) send(change);
    }
    return this.store.subscribe(collection, send);

    function send(change: Change): void {
      if (change.revision <= asked) return;
      const seen = filterChange(change, selection);
      if (seen) sink.event(seen);
    }
  }

  /**
   * Creates a decoded object; takes it over.
   * @throws ApiStatusError 400, 403, 404 (namespace), 409, 422
   */
  create(
    definition: ResourceDefinition,
    namespace: string | undefined,
    object: KubeObject,
    options: Writing = {},
  ): Version {
    const { resource, strategy, collection } = definition;
    const { metadata } = object;
    setType(definition, object);
    matchNamespace(definition, object, namespace);
    if (metadata.resourceVersion) throw unclassified('resourceVersion should not be set on objects to be created');
    const generated = !metadata.name && metadata.generateName;
    if (generated) metadata.name = this.generateName(metadata.generateName!);
    metadata.creationTimestamp = formatTime(this.clock.now());
    metadata.uid = this.random.uuid();
    for (const field of [
      'deletionTimestamp',
      'deletionGracePeriodSeconds',
      'generation',
      'selfLink',
      'managedFields',
    ] as const) {
      delete metadata[field];
    }
    applyDefaults(storedResource(definition), object);
    this.admission.admitCreate(definition, object);
    strategy.prepareForCreate?.(object);
    refuseInvalid(definition, object, this.admission.allocate(definition, object));
    const unsupported = strategy.unsupported?.(object) ?? [];
    refuseInvalid(definition, object, validate(resource, object));
    const refused = unsupported.filter(({ refuse }) => refuse);
    refuseInvalid(
      definition,
      object,
      refused.map(({ field, why }) => forbidden(field, why)),
    );
    warn(definition, options, object);
    for (const { field, why, refuse } of unsupported) if (!refuse) options.warn?.(`${field}: ${why}`);

    let key = keyOf(definition, namespace, metadata.name!);
    for (let attempt = 1; this.store.get(collection, key); attempt++) {
      if (!generated || attempt >= GENERATE_ATTEMPTS) throw alreadyExists(resource, metadata.name!);
      metadata.name = this.generateName(metadata.generateName!);
      key = keyOf(definition, namespace, metadata.name);
    }
    if (options.dryRun) return unstored(key, object);
    const version = this.store.put(collection, key, object);
    this.admission.afterCreate(definition, version.object);
    return version;
  }

  /**
   * Replaces an object by what `change` makes of it. `change` must leave its argument alone and return a decoded object, which is
   * taken over. A write that changes nothing makes no new version.
   * @throws ApiStatusError 400, 404, 409, 422
   */
  update(
    definition: ResourceDefinition,
    namespace: string | undefined,
    name: string,
    change: (old: KubeObject) => KubeObject,
    options: Updating = {},
  ): Version {
    const { resource, strategy, collection } = definition;
    const key = keyOf(definition, namespace, name);
    const before = this.store.get(collection, key);
    if (!before) throw notFound(resource, name);
    const old = before.object;
    const object = change(old);
    matchName(object, name);
    setType(definition, object);
    matchNamespace(definition, object, namespace);
    this.checkVersion(definition, key, object, before);
    keepSystemFields(object, old);
    applyDefaults(storedResource(definition), object);
    if (options.prepare) options.prepare(object, old);
    else if (options.status) {
      keepAllButStatus(object, old);
      strategy.prepareForStatusUpdate?.(object, old);
      refuseInvalid(definition, object, validateStatusUpdate(object, old));
    } else {
      this.admission.admitUpdate(definition, object, old);
      strategy.prepareForUpdate?.(object, old);
      refuseInvalid(definition, object, this.admission.allocate(definition, object, old));
      refuseInvalid(definition, object, validateUpdate(resource, object, old));
      warn(definition, options, object, old);
    }

    if (sameButVersion(object, old)) return before;
    if (isDone(definition, object)) {
      // The last finalizer is gone: nothing holds the object any more.
      if (!options.dryRun) this.remove(definition, key);
      return unstored(key, { ...object, metadata: { ...object.metadata, resourceVersion: String(before.revision) } });
    }
    if (options.dryRun) return unstored(key, object);
    return this.store.put(collection, key, object);
  }

  /**
   * Deletes, or begins to: with a grace period or finalizers the object stays, marked, until the period is over or shortened to 0
   * and the finalizers are gone.
   * @throws ApiStatusError 403, 404, 409
   */
  delete(
    definition: ResourceDefinition,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Deleted {
    const { resource, collection } = definition;
    const dryRun = (options.dryRun?.length ?? 0) > 0;
    const key = keyOf(definition, namespace, name);
    let version = this.store.get(collection, key);
    if (!version) throw notFound(resource, name);
    checkPreconditions(definition, version.object, options.preconditions);
    this.admission.admitDelete(definition, version.object);

    const marked = this.markDeleted(definition, version.object, options.gracePeriodSeconds);
    if (marked && dryRun) version = unstored(key, marked);
    else if (marked) version = this.store.put(collection, key, marked);
    const gone = isDone(definition, version.object) || !version.object.metadata.deletionTimestamp;
    if (!dryRun && gone) this.remove(definition, key);
    else if (!dryRun && marked) this.admission.afterMark(definition, version.object);
    return { version, gone };
  }

  /**
   * The object with its deletion begun or its grace period shortened; undefined when nothing of it has to be written.
   * Source: pkg/registry/rest/delete.go BeforeDelete
   */
  private markDeleted(
    definition: ResourceDefinition,
    object: KubeObject,
    requested: number | undefined,
  ): KubeObject | undefined {
    const { strategy } = definition;
    const period = strategy.gracePeriod?.(object, requested);
    const { deletionTimestamp, deletionGracePeriodSeconds, generation } = object.metadata;
    const mark = (at: number, seconds: number): KubeObject => {
      const metadata = { ...object.metadata, deletionTimestamp: formatTime(at), deletionGracePeriodSeconds: seconds };
      if (generation !== undefined && !deletionTimestamp) metadata.generation = generation + 1;
      const marked = { ...object, metadata };
      return strategy.prepareForDelete?.(marked) ?? marked;
    };
    if (!deletionTimestamp) {
      if (period !== undefined) return mark(this.clock.now() + period * 1000, period);
      return holders(definition, object).length > 0 ? mark(this.clock.now(), 0) : undefined;
    }
    if (period === undefined || deletionGracePeriodSeconds === undefined || period >= deletionGracePeriodSeconds) {
      return undefined;
    }
    const end = parseTime(deletionTimestamp)! - (deletionGracePeriodSeconds - period) * 1000;
    // What is shortened to a time that is over already ends now, and whoever watches still gets the second to see it.
    if (end < this.clock.now()) return mark(this.clock.now(), Math.min(period, 1));
    return mark(end, period);
  }

  /**
   * Removes what a deletion had marked and not removed yet when the machine lost its power between the two writes: nobody else would.
   * @throws ApiStatusError 500
   */
  finishRemovals(definitions: readonly ResourceDefinition[]): void {
    for (const definition of definitions) {
      for (const { key, object } of [...this.store.scan(definition.collection)]) {
        if (isDone(definition, object)) this.remove(definition, key);
      }
    }
  }

  private remove(definition: ResourceDefinition, key: string): void {
    const last = this.store.delete(definition.collection, key);
    if (last) this.admission.afterGone(definition, last.object);
  }

  /** Deletes everything that a list would show. @returns what was deleted, as it was */
  deleteCollection(definition: ResourceDefinition, selection: ReadOptions, options: DeleteOptions = {}): Page {
    const page = this.list(definition, selection);
    const items: Version[] = [];
    for (const { object } of page.items) {
      items.push(this.delete(definition, object.metadata.namespace, object.metadata.name!, options).version);
    }
    return { ...page, items, revision: this.store.revision };
  }

  private generateName(base: string): string {
    return base.slice(0, MAX_GENERATED_BASE) + this.random.suffix(SUFFIX_LENGTH);
  }

  private checkVersion(definition: ResourceDefinition, key: string, object: KubeObject, before: Version): void {
    const { resource } = definition;
    const { uid, resourceVersion, name = '' } = object.metadata;
    const stored = before.object.metadata.uid;
    if (uid && uid !== stored) {
      const why = `StorageError: invalid object, Code: 4, Key: /registry/${resource.plural}/${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored}`;
      throw conflict(resource, name, why);
    }
    const version = writeVersion(resourceVersion);
    if (version !== undefined && version !== 0) {
      if (version !== before.revision) throw staleVersion(resource, name);
    } else if (definition.needsVersionOnUpdate) {
      const detail = 'must be specified for an update';
      throw invalidError(resource, name, [{ type: 'Invalid', field: 'metadata.resourceVersion', value: 0, detail }]);
    }
  }
}

/** `NAMESPACE/NAME` or `NAME`. */
export function keyOf(definition: ResourceDefinition, namespace: string | undefined, name: string): string {
  return definition.resource.namespaced ? `${namespace ?? ''}/${name}` : name;
}

function setType({ resource }: ResourceDefinition, object: KubeObject): void {
  object.kind = resource.kind;
  object.apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** A version that only the answer shows. */
function unstored(key: string, object: KubeObject): Version {
  const { kind: _, apiVersion: __, ...body } = object;
  return { key, revision: 0, object, text: JSON.stringify(body) };
}

/** @throws ApiStatusError 400 */
export function matchName(object: KubeObject, name: string): void {
  const own = object.metadata.name;
  if (!own) throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  if (own !== name) throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
}

function matchNamespace({ resource }: ResourceDefinition, object: KubeObject, namespace: string | undefined): void {
  if (!resource.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  if (object.metadata.namespace && object.metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  object.metadata.namespace = namespace;
}

/** What an update cannot touch. */
function keepSystemFields(object: KubeObject, old: KubeObject): void {
  const { metadata } = object;
  metadata.uid = old.metadata.uid;
  metadata.creationTimestamp = old.metadata.creationTimestamp;
  metadata.resourceVersion = old.metadata.resourceVersion;
  for (const field of ['generation', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (old.metadata[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: old.metadata[field] });
  }
  delete metadata.managedFields;
  delete metadata.selfLink;
}

/** The metadata is the request's, too: so do upstream's strategies of statuses. */
function keepAllButStatus(object: KubeObject, old: KubeObject): void {
  const { metadata, status } = object as KubeObject & { status?: unknown };
  for (const field of Object.keys(object)) delete (object as unknown as Record<string, unknown>)[field];
  Object.assign(object, old, { metadata, status });
}

function warn({ strategy }: ResourceDefinition, { warn: tell }: Writing, object: KubeObject, old?: KubeObject): void {
  if (tell) for (const text of strategy.warnings?.(object, old) ?? []) tell(text);
}

/** What defaults and errors are about: the stored form. */
function storedResource({ resource, view }: ResourceDefinition): Resource {
  return view?.stored ?? resource;
}

function refuseInvalid(definition: ResourceDefinition, object: KubeObject, errors: FieldError[]): void {
  if (errors.length > 0) throw invalidError(storedResource(definition), object.metadata.name ?? '', errors);
}

/** @throws ApiStatusError 409 */
export function checkPreconditions(
  { resource }: ResourceDefinition,
  object: KubeObject,
  wanted: Preconditions | undefined,
): void {
  const { uid, resourceVersion, name = '' } = object.metadata;
  // Upstream names the kind here, not the resource.
  const subject = { group: resource.group, plural: resource.kind };
  if (wanted?.uid && wanted.uid !== uid) {
    throw conflict(
      subject,
      name,
      `the UID in the precondition (${wanted.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    );
  }
  if (wanted?.resourceVersion && wanted.resourceVersion !== resourceVersion) {
    throw conflict(
      subject,
      name,
      `the ResourceVersion in the precondition (${wanted.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    );
  }
}

function sameButVersion(object: KubeObject, old: KubeObject): boolean {
  return isDeepStrictEqual(object, old);
}

/** Who must be done before the object may go. */
function holders({ strategy }: ResourceDefinition, object: KubeObject): readonly string[] {
  return [...(object.metadata.finalizers ?? []), ...(strategy.moreFinalizers?.(object) ?? [])];
}

/** Marked for deletion, and nothing holds it. */
function isDone(definition: ResourceDefinition, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
  return !!deletionTimestamp && !deletionGracePeriodSeconds && holders(definition, object).length === 0;
}
