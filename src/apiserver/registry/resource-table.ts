import {
  CONFIGMAPS,
  ENDPOINTS,
  ENDPOINTSLICES,
  EVENTS,
  type KubeObject,
  LEASES,
  NAMESPACES,
  NODES,
  PODS,
  type Resource,
  SECRETS,
  SERVICEACCOUNTS,
  SERVICES,
} from '../../api/resources.ts';
import { eventTable } from '../printers/events.ts';
import { nodeTable } from '../printers/nodes.ts';
import {
  configMapTable,
  leaseTable,
  namespaceTable,
  secretTable,
  serviceAccountTable,
} from '../printers/plain-objects.ts';
import { podTable } from '../printers/pods.ts';
import { endpointSliceTable, endpointsTable, serviceTable } from '../printers/services.ts';
import type { TableDefinition } from '../printers/table-definition.ts';
import { fromEventsV1, toEventsV1 } from './event-view.ts';
import { type ResourceDefinition, statusSubresource } from './resource-definition.ts';
import { endpointSliceStrategy } from './strategies/endpoint-slice-strategy.ts';
import { namespaceStrategy } from './strategies/namespace-strategy.ts';
import { nodeStrategy } from './strategies/node-strategy.ts';
import { podStrategy } from './strategies/pod-strategy.ts';
import { serviceStrategy } from './strategies/service-strategy.ts';

const ALL = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const PROXY = ['create', 'delete', 'get', 'patch', 'update'];
const STREAM = ['create', 'get'];

type Particulars = Omit<
  ResourceDefinition,
  'resource' | 'verbs' | 'subresources' | 'strategy' | 'table' | 'collection'
>;

function define<T extends KubeObject>(
  resource: Resource<T>,
  table: TableDefinition<T>,
  particulars: Particulars & Partial<ResourceDefinition>,
): ResourceDefinition {
  return {
    resource: resource as Resource,
    verbs: ALL,
    subresources: [],
    strategy: {},
    collection: resource.plural,
    table: table as unknown as TableDefinition,
    ...particulars,
  };
}

const EVENTS_V1 = { ...EVENTS, group: 'events.k8s.io' } as Resource;

/** Everything that is served, in the order of discovery. To add a resource, add its line (see CONTRIBUTING). */
export const RESOURCE_TABLE: readonly ResourceDefinition[] = [
  define(CONFIGMAPS, configMapTable, {
    singular: 'configmap',
    shortNames: ['cm'],
    storageVersionHash: 'qFsyl6wFWjQ=',
  }),
  define(ENDPOINTS, endpointsTable, {
    singular: 'endpoints',
    shortNames: ['ep'],
    storageVersionHash: 'fWeeMqaN/OA=',
    createsOnUpdate: true,
    deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  }),
  define(EVENTS, eventTable, {
    singular: 'event',
    shortNames: ['ev'],
    storageVersionHash: 'r2yiGXH7wu8=',
    createsOnUpdate: true,
  }),
  define(NAMESPACES, namespaceTable, {
    singular: 'namespace',
    shortNames: ['ns'],
    storageVersionHash: 'Q3oi5N2YM8M=',
    verbs: ALL.filter((verb) => verb !== 'deletecollection'),
    subresources: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }, statusSubresource('Namespace')],
    strategy: namespaceStrategy,
  }),
  define(NODES, nodeTable, {
    singular: 'node',
    shortNames: ['no'],
    storageVersionHash: 'XwShjMxG9Fs=',
    subresources: [{ name: 'proxy', kind: 'NodeProxyOptions', verbs: PROXY }, statusSubresource('Node')],
    strategy: nodeStrategy,
  }),
  define(PODS, podTable, {
    singular: 'pod',
    shortNames: ['po'],
    categories: ['all'],
    storageVersionHash: 'xPOwRZ+Yhw8=',
    returnsDeleted: true,
    subresources: [
      { name: 'attach', kind: 'PodAttachOptions', verbs: STREAM },
      { name: 'binding', kind: 'Binding', verbs: ['create'] },
      { name: 'ephemeralcontainers', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
      { name: 'eviction', kind: 'Eviction', verbs: ['create'], group: 'policy', version: 'v1' },
      { name: 'exec', kind: 'PodExecOptions', verbs: STREAM },
      { name: 'log', kind: 'Pod', verbs: ['get'] },
      { name: 'portforward', kind: 'PodPortForwardOptions', verbs: STREAM },
      { name: 'proxy', kind: 'PodProxyOptions', verbs: PROXY },
      statusSubresource('Pod'),
    ],
    strategy: podStrategy,
  }),
  define(SECRETS, secretTable, { singular: 'secret', storageVersionHash: 'S6u1pOWzb84=' }),
  define(SERVICEACCOUNTS, serviceAccountTable, {
    singular: 'serviceaccount',
    shortNames: ['sa'],
    storageVersionHash: 'pbx9ZvyFpBE=',
    returnsDeleted: true,
  }),
  define(SERVICES, serviceTable, {
    singular: 'service',
    shortNames: ['svc'],
    categories: ['all'],
    storageVersionHash: '0/CO1lhkEBI=',
    returnsDeleted: true,
    createsOnUpdate: true,
    subresources: [{ name: 'proxy', kind: 'ServiceProxyOptions', verbs: PROXY }, statusSubresource('Service')],
    strategy: serviceStrategy,
  }),
  define(EVENTS_V1, eventTable as TableDefinition, {
    singular: 'event',
    shortNames: ['ev'],
    storageVersionHash: 'r2yiGXH7wu8=',
    createsOnUpdate: true,
    view: { stored: EVENTS as Resource, fromStored: toEventsV1, toStored: fromEventsV1 },
  }),
  define(LEASES, leaseTable, {
    singular: 'lease',
    storageVersionHash: 'gqkMMb/YqFM=',
    createsOnUpdate: true,
    needsVersionOnUpdate: true,
  }),
  define(ENDPOINTSLICES, endpointSliceTable, {
    singular: 'endpointslice',
    storageVersionHash: 'qgS0xkrxYAI=',
    strategy: endpointSliceStrategy,
  }),
];

const BY_PATH = new Map(RESOURCE_TABLE.map((d) => [pathKey(d.resource), d]));

function pathKey(resource: Pick<Resource, 'group' | 'version' | 'plural'>): string {
  return `${resource.group}/${resource.version}/${resource.plural}`;
}

/** The served resource of this group, version and plural name, or undefined. */
export function findResource(resource: Pick<Resource, 'group' | 'version' | 'plural'>): ResourceDefinition | undefined {
  return BY_PATH.get(pathKey(resource));
}

/** The definitions that own a collection (views of another one left out). */
export const STORED_RESOURCES: readonly ResourceDefinition[] = RESOURCE_TABLE.filter((d) => !d.view);
