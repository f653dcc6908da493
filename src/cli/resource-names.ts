import {
  CONFIGMAPS,
  ENDPOINTS,
  ENDPOINTSLICES,
  EVENTS,
  LEASES,
  NAMESPACES,
  NODES,
  PODS,
  type Resource,
  SECRETS,
  SERVICEACCOUNTS,
  SERVICES,
} from '../api/resources.ts';
import { UserError } from '../lib/errors.ts';

/** Resources that the CLI knows by name, with their short names. */
const KNOWN: readonly (readonly [resource: Resource, ...short: string[]])[] = [
  [PODS, 'po'],
  [NODES, 'no'],
  [EVENTS, 'ev'],
  [NAMESPACES, 'ns'],
  [CONFIGMAPS, 'cm'],
  [SECRETS],
  [SERVICEACCOUNTS, 'sa'],
  [SERVICES, 'svc'],
  [ENDPOINTS, 'ep'],
  [ENDPOINTSLICES],
  [LEASES],
];

/** The name of one object of this resource as `-o name` and `TYPE/NAME` have it: `pod`, `lease.coordination.k8s.io`. */
export function typeNameOf(resource: Resource): string {
  return resource.kind.toLowerCase() + (resource.group === '' ? '' : `.${resource.group}`);
}

/** The resource a user means by `pods`, `pod`, `po`, `Pod` or `leases.coordination.k8s.io`. */
export function resourceByName(name: string): Resource {
  const wanted = name.toLowerCase();
  for (const [resource, ...short] of KNOWN) {
    const names = [resource.plural, resource.kind.toLowerCase()];
    const full = resource.group === '' ? [] : names.map((n) => `${n}.${resource.group}`);
    if ([...names, ...full, ...short].includes(wanted)) return resource;
  }
  throw new UserError(`unknown resource type ${JSON.stringify(name)}`, {
    hint: `one of ${KNOWN.map(([r]) => r.plural).join(', ')}`,
  });
}

/** Resources and the names given: from `pods`, `pods,events`, `pods a b`, `pod/a` or `pod/a node/b`. */
export function parseTargets(args: readonly string[]): { resource: Resource; name?: string | undefined }[] {
  if (args.some((arg) => arg.includes('/'))) {
    return args.map((arg) => {
      const [type, name, ...rest] = arg.split('/');
      if (!type || !name || rest.length > 0) {
        throw new UserError(`${JSON.stringify(arg)} is not TYPE/NAME`, { hint: 'either TYPE NAME... or TYPE/NAME...' });
      }
      return { resource: resourceByName(type), name };
    });
  }
  const [types = '', ...names] = args;
  const resources = types.split(',').map(resourceByName);
  return resources.flatMap((resource) =>
    names.length === 0 ? [{ resource }] : names.map((name) => ({ resource, name })),
  );
}
