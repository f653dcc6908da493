import type { KubeObject, Resource } from '../../api/resources.ts';
import type { UnsupportedField } from '../../api/unsupported.ts';
import type { TableDefinition } from '../printers/table-definition.ts';

/** What is particular about a resource when it is written. Hooks change the object that they are given. */
export interface Strategy {
  /** Drops what a client may not set and sets what only the server knows. */
  prepareForCreate?(object: KubeObject): void;
  /** What a new object asks for that is not carried out. */
  unsupported?(object: KubeObject): readonly UnsupportedField[];
  /** What is allowed in an object and hardly meant. Without `old` it is new. */
  warnings?(object: KubeObject, old?: KubeObject): readonly string[];
  /** Takes over from `old` what this request may not change. */
  prepareForUpdate?(object: KubeObject, old: KubeObject): void;
  /** The same for a request of the status: what else than the spec it may not change. */
  prepareForStatusUpdate?(object: KubeObject, old: KubeObject): void;
  /**
   * The grace period of a deletion in seconds; resources without this hook have none.
   * @param requested by the client; undefined when it did not say
   */
  gracePeriod?(object: KubeObject, requested: number | undefined): number;
  /** Finalizers that do not stand in the metadata. */
  moreFinalizers?(object: KubeObject): readonly string[];
  /** What else changes when a deletion begins. */
  prepareForDelete?(object: KubeObject): KubeObject;
}

export interface SubresourceDefinition {
  readonly name: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  /** When the kind belongs to another group. */
  readonly group?: string;
  readonly version?: string;
}

/** One served resource. */
export interface ResourceDefinition {
  readonly resource: Resource;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly verbs: readonly string[];
  /** Upstream's, so that discovery answers are equal. */
  readonly storageVersionHash: string;
  readonly subresources: readonly SubresourceDefinition[];
  readonly strategy: Strategy;
  readonly table: TableDefinition;
  /** Where its objects are kept. Two versions of one resource share a collection. */
  readonly collection: string;
  /** For a second version of a resource: from and to the form that is stored. */
  readonly view?: {
    readonly stored: Resource;
    readonly fromStored: (object: KubeObject) => KubeObject;
    readonly toStored: (object: KubeObject) => KubeObject;
  };
  /** A deletion answers with the object instead of a Status. */
  readonly returnsDeleted?: boolean;
  /** A PUT to a name that does not exist creates it. */
  readonly createsOnUpdate?: boolean;
  /** A PUT must say which version it replaces. */
  readonly needsVersionOnUpdate?: boolean;
  /** Warns everyone who asks for it. */
  readonly deprecation?: string;
}

/** The subresource `status`, as most resources have it. */
export function statusSubresource(kind: string): SubresourceDefinition {
  return { name: 'status', kind, verbs: ['get', 'patch', 'update'] };
}

export function hasSubresource(definition: ResourceDefinition, name: string): boolean {
  return definition.subresources.some((sub) => sub.name === name);
}
