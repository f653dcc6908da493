import type {
  ConfigMap,
  Namespace,
  NamespaceCondition,
  Pod,
  Service,
  ServiceAccount,
} from '../../api/generated/types.ts';
import { CONFIGMAPS, type KubeObject, NAMESPACES, PODS, SERVICEACCOUNTS, SERVICES } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { FieldError } from '../../api/validation/field-error.ts';
import { assert } from '../../lib/errors.ts';
import type { Cidr } from '../../lib/ipv4.ts';
import { forbidden, notFound } from './api-errors.ts';
import { namespaceConditions } from './namespace-conditions.ts';
import { admitPod, admitPodUpdate } from './pod-admission.ts';
import type { Admission, Registry } from './registry.ts';
import type { ResourceDefinition } from './resource-definition.ts';
import { findResource, STORED_RESOURCES } from './resource-table.ts';
import { type AllocationHost, allocateService } from './service-allocation.ts';
import { NAMESPACE_FINALIZER } from './strategies/namespace-strategy.ts';

const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const IMMORTAL_NAMESPACES = ['default', 'kube-system', 'kube-public'];
const ROOT_CA = 'kube-root-ca.crt';
const ROOT_CA_DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

export interface ClusterAdmissionOptions extends AllocationHost {
  /** PEM. */
  readonly caCertificate: string;
  /** Where Services have their addresses. */
  readonly serviceRange: Cidr;
}

/**
 * The life of namespaces, at once where upstream has controllers that come later: a new one gets its service account and the CA's
 * certificate, a deleted one is emptied and then goes. Also admits pods, and gives Services their addresses and ports.
 */
export class ClusterAdmission implements Admission {
  private readonly registry: Registry;
  private readonly options: ClusterAdmissionOptions;
  private readonly namespaces = definitionOf(NAMESPACES);
  private readonly accounts = definitionOf(SERVICEACCOUNTS);
  private readonly configMaps = definitionOf(CONFIGMAPS);
  /** The namespace from which everything is just being deleted. */
  private emptying: string | undefined;

  constructor(registry: Registry, options: ClusterAdmissionOptions) {
    this.registry = registry;
    this.options = options;
  }

  /** Makes what every cluster has, and finishes what a crash interrupted. Idempotent. */
  bootstrap(): void {
    this.registry.finishRemovals(STORED_RESOURCES);
    for (const name of SYSTEM_NAMESPACES) {
      if (!this.find(NAMESPACES, name)) {
        this.registry.create(this.namespaces, undefined, { metadata: { name } } as Namespace);
      }
    }
    for (const { object } of this.registry.store.scan(this.namespaces.collection)) {
      if (object.metadata.deletionTimestamp) this.empty(object.metadata.name!);
      else this.furnish(object.metadata.name!);
    }
  }

  admitCreate({ resource }: ResourceDefinition, object: KubeObject): void {
    const { namespace, name = '' } = object.metadata;
    if (resource.namespaced) {
      const found = this.find(NAMESPACES, namespace!);
      if (!found) throw notFound(NAMESPACES, namespace!);
      if (found.metadata.deletionTimestamp) {
        const refusal = forbidden(
          resource,
          name,
          `unable to create new content in namespace ${namespace} because it is being terminated`,
        );
        const cause = {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        };
        throw new ApiStatusError(refusal.code, refusal.reason, refusal.message, {
          ...refusal.details,
          causes: [cause],
        });
      }
    }
    if (resource.plural === PODS.plural) {
      admitPod(object as Pod, (account) => this.find(SERVICEACCOUNTS, `${namespace}/${account}`) as ServiceAccount);
    }
  }

  admitUpdate({ resource }: ResourceDefinition, object: KubeObject, old: KubeObject): void {
    if (resource.plural === PODS.plural) admitPodUpdate(object as Pod, old as Pod);
  }

  allocate({ resource, collection }: ResourceDefinition, object: KubeObject, old?: KubeObject): FieldError[] {
    if (resource.plural !== SERVICES.plural) return [];
    const { namespace, name } = object.metadata;
    const others: Service[] = [];
    for (const { key, object: other } of this.registry.store.scan(collection)) {
      if (key !== `${namespace}/${name}` || !old) others.push(other as Service);
    }
    return allocateService(
      object as Service,
      old as Service | undefined,
      others,
      this.options.serviceRange,
      this.options,
    );
  }

  admitDelete({ resource }: ResourceDefinition, object: KubeObject): void {
    const { name = '' } = object.metadata;
    if (resource.plural === NAMESPACES.plural && IMMORTAL_NAMESPACES.includes(name)) {
      throw forbidden(resource, name, 'this namespace may not be deleted');
    }
  }

  afterCreate({ resource }: ResourceDefinition, object: KubeObject): void {
    if (resource.plural === NAMESPACES.plural) this.furnish(object.metadata.name!);
  }

  afterMark({ resource }: ResourceDefinition, object: KubeObject): void {
    if (resource.plural === NAMESPACES.plural) this.empty(object.metadata.name!);
  }

  afterGone({ resource }: ResourceDefinition, object: KubeObject): void {
    const { namespace, name } = object.metadata;
    if (!resource.namespaced || !namespace) return;
    const home = this.find(NAMESPACES, namespace);
    if (!home) return;
    if (home.metadata.deletionTimestamp) this.settle(namespace);
    else if (resource.plural === SERVICEACCOUNTS.plural && name === 'default') this.furnish(namespace);
    else if (resource.plural === CONFIGMAPS.plural && name === ROOT_CA) this.furnish(namespace);
  }

  /** What a namespace always has. */
  private furnish(namespace: string): void {
    if (!this.find(SERVICEACCOUNTS, `${namespace}/default`)) {
      const account: ServiceAccount = { metadata: { name: 'default' } };
      this.registry.create(this.accounts, namespace, account);
    }
    const { caCertificate } = this.options;
    const data = { 'ca.crt': caCertificate };
    const found = this.find(CONFIGMAPS, `${namespace}/${ROOT_CA}`) as ConfigMap | undefined;
    if (!found) {
      const annotations = { 'kubernetes.io/description': ROOT_CA_DESCRIPTION };
      const map: ConfigMap = { metadata: { name: ROOT_CA, annotations }, data };
      this.registry.create(this.configMaps, namespace, map);
    } else if (found.data?.['ca.crt'] !== caCertificate) {
      this.registry.update(
        this.configMaps,
        namespace,
        ROOT_CA,
        (old) => ({ ...structuredClone(old), data }) as ConfigMap,
      );
    }
  }

  /** Deletes everything in a namespace; pods keep their grace period. */
  private empty(namespace: string): void {
    this.emptying = namespace;
    try {
      for (const definition of STORED_RESOURCES) {
        if (definition.resource.namespaced) this.registry.deleteCollection(definition, { namespace });
      }
    } finally {
      this.emptying = undefined;
    }
    this.settle(namespace);
  }

  /** Lets a namespace go that is being deleted and empty; another one says what holds it. */
  private settle(namespace: string): void {
    const home = this.find(NAMESPACES, namespace) as Namespace | undefined;
    if (!home || this.emptying === namespace) return;
    const left = STORED_RESOURCES.filter(({ resource }) => resource.namespaced)
      .map(({ resource, collection }) => ({
        resource,
        objects: [...this.registry.store.scan(collection, `${namespace}/`)].map(({ object }) => object),
      }))
      .filter(({ objects }) => objects.length > 0);
    const finalizers = home.spec?.finalizers ?? [];
    this.finalize(
      namespace,
      left.length > 0 ? finalizers : finalizers.filter((name) => name !== NAMESPACE_FINALIZER),
      namespaceConditions(left, home.status?.conditions ?? [], this.registry.clock.now()),
    );
  }

  /** Sets who must still be done before the namespace goes, and what it says of that; with nobody left it goes. */
  finalize(namespace: string, finalizers: string[], conditions?: NamespaceCondition[]): KubeObject {
    const change = (old: KubeObject): KubeObject => structuredClone(old);
    const prepare = (object: KubeObject): void => {
      const home = object as Namespace;
      home.spec = { finalizers };
      if (conditions) home.status = { ...home.status, conditions };
    };
    return this.registry.update(this.namespaces, undefined, namespace, change, { prepare }).object;
  }

  private find(resource: { readonly plural: string }, key: string): KubeObject | undefined {
    return this.registry.store.get(resource.plural, key)?.object;
  }
}

function definitionOf(resource: Parameters<typeof findResource>[0]): ResourceDefinition {
  const definition = findResource(resource);
  assert(definition, `${resource.plural} are served`);
  return definition;
}
