/** What a request is about, by its method and path alone. Source: apiserver pkg/endpoints/request/requestinfo.go */
export type RequestInfo =
  | ResourceRequestInfo
  | { readonly isResource: false; readonly verb: string; readonly path: string };

export interface ResourceRequestInfo {
  readonly isResource: true;
  readonly verb: string;
  readonly path: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What comes after the subresource, with its leading slash: `/metrics` in `/api/v1/nodes/n/proxy/metrics`. */
  readonly rest: string;
}

const VERBS: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Parts of a namespace itself; anything else below a namespace is a resource in it. */
const NAMESPACE_SUBRESOURCES = ['status', 'finalize'];

/** @param path decoded per segment only, so that an encoded slash separates nothing */
export function parseRequest(method: string, path: string, query: URLSearchParams): RequestInfo {
  const verb = VERBS[method] ?? method.toLowerCase();
  const parts = path.split('/').slice(1).map(decodeSegment);
  const base = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : undefined;
  if (base === undefined || parts.length <= base || parts[base] === '') return { isResource: false, verb, path };
  const group = base === 2 ? '' : parts[1]!;
  const version = parts[base - 1]!;
  let rest = parts.slice(base);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2 && !NAMESPACE_SUBRESOURCES.includes(rest[2]!)) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural = '', name, subresource, ...tail] = rest;
  return {
    isResource: true,
    verb: narrowVerb(verb, name, query),
    path,
    group,
    version,
    namespace,
    plural,
    name: name || undefined,
    subresource: subresource || undefined,
    rest: tail.length > 0 ? `/${tail.map(encodeURIComponent).join('/')}` : '',
  };
}

function narrowVerb(verb: string, name: string | undefined, query: URLSearchParams): string {
  if (name) return verb;
  if (verb === 'delete') return 'deletecollection';
  if (verb !== 'get') return verb;
  return isTrue(query.get('watch')) ? 'watch' : 'list';
}

/** How query parameters say yes. */
export function isTrue(text: string | null): boolean {
  return text === '1' || text === 'true' || text === 'True' || text === 'TRUE' || text === 't' || text === 'T';
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
