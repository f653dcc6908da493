import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { RESOURCE_TABLE } from '../registry/resource-table.ts';

interface DiscoveredResource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly storageVersionHash?: string;
}

/** Resources that are asked, not kept: their objects are answers. */
const VIRTUAL: Readonly<Record<string, readonly DiscoveredResource[]>> = {
  '/v1': [{ name: 'bindings', singularName: 'binding', namespaced: true, kind: 'Binding', verbs: ['create'] }],
  'authentication.k8s.io/v1': [
    {
      name: 'selfsubjectreviews',
      singularName: 'selfsubjectreview',
      namespaced: false,
      kind: 'SelfSubjectReview',
      verbs: ['create'],
    },
  ],
  'authorization.k8s.io/v1': [
    {
      name: 'selfsubjectaccessreviews',
      singularName: 'selfsubjectaccessreview',
      namespaced: false,
      kind: 'SelfSubjectAccessReview',
      verbs: ['create'],
    },
  ],
};

/** The groups beyond the core, in the order of upstream's priorities. */
const GROUPS = [
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
];

/**
 * What this server can do, as clients discover it: the older form, one document a group version, and the aggregated one
 * (apidiscovery.k8s.io/v2). Undefined when there is no such path. Pure; the tables do not change while we run.
 */
export function legacyDiscovery(path: string, serverAddress: string): object | undefined {
  const [, root, group, version, ...more] = path.replace(/\/$/, '').split('/');
  if (more.length > 0) return undefined;
  if (root === 'api') {
    if (group === undefined) {
      return {
        kind: 'APIVersions',
        versions: ['v1'],
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
      };
    }
    return group === 'v1' && version === undefined
      ? { kind: 'APIResourceList', groupVersion: 'v1', resources: resourcesOf('', 'v1') }
      : undefined;
  }
  if (root !== 'apis') return undefined;
  if (group === undefined) return { kind: 'APIGroupList', apiVersion: 'v1', groups: GROUPS.map(groupEntry) };
  if (!GROUPS.includes(group)) return undefined;
  if (version === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group) };
  if (version !== 'v1') return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/v1`,
    resources: resourcesOf(group, 'v1'),
  };
}

/** Whether the path is below a group that is served, so that a 404 is a Status and not a page. */
export function isKnownGroup(path: string): boolean {
  const [, root, group, version] = path.split('/');
  return root === 'api' || (root === 'apis' && version !== undefined && GROUPS.includes(group!));
}

export function aggregatedDiscovery(path: '/api' | '/apis'): object {
  const groups = path === '/api' ? [''] : GROUPS;
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: [{ version: 'v1', resources: aggregate(resourcesOf(group, 'v1')), freshness: 'Current' }],
    })),
  };
}

function groupEntry(name: string): object {
  const version = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [version], preferredVersion: version };
}

/** Every resource and subresource of a group version, by name. */
function resourcesOf(group: string, version: string): DiscoveredResource[] {
  const found = RESOURCE_TABLE.filter((d) => d.resource.group === group && d.resource.version === version).flatMap(
    describe,
  );
  return [...found, ...(VIRTUAL[`${group}/${version}`] ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function describe(definition: ResourceDefinition): DiscoveredResource[] {
  const { resource, singular, shortNames, categories, verbs, storageVersionHash, subresources } = definition;
  const { plural, kind, namespaced } = resource;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs,
      ...(shortNames ? { shortNames } : {}),
      ...(categories ? { categories } : {}),
      storageVersionHash,
    },
    ...subresources.map(({ name, ...sub }) => ({ name: `${plural}/${name}`, singularName: '', namespaced, ...sub })),
  ];
}

function aggregate(resources: readonly DiscoveredResource[]): object[] {
  const responseKind = ({ group = '', version = '', kind }: DiscoveredResource) => ({ group, version, kind });
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map((resource) => {
      const { name, namespaced, singularName, verbs, shortNames, categories } = resource;
      const subresources = resources
        .filter((sub) => sub.name.startsWith(`${name}/`))
        .map((sub) => ({
          subresource: sub.name.slice(name.length + 1),
          responseKind: responseKind(sub),
          verbs: sub.verbs,
        }));
      return {
        resource: name,
        responseKind: responseKind(resource),
        scope: namespaced ? 'Namespaced' : 'Cluster',
        singularResource: singularName,
        verbs,
        ...(shortNames ? { shortNames } : {}),
        ...(categories ? { categories } : {}),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    });
}
