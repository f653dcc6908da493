import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ApiStatusError } from '../../api/status-error.ts';
import type { RequestInfo, ResourceRequestInfo } from '../handlers/request-info.ts';
import { impersonationOf } from './impersonation.ts';

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** As much of a request as decides whether it is allowed. */
export type Attributes =
  | Pick<ResourceRequestInfo, 'isResource' | 'verb' | 'group' | 'plural'>
  | Extract<RequestInfo, { isResource: false }>;

const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const ADMIN_GROUP = 'system:masters';
/** What everyone may read, as upstream's system:public-info-viewer. */
const PUBLIC_PATHS = ['/healthz', '/livez', '/readyz', '/version'];
/** What everyone who has a name may: upstream's system:discovery and system:basic-user. */
const DISCOVERY = /^\/(?:api|apis|openapi)(?:\/|$)/;
const SELF_REVIEWS = [
  'authentication.k8s.io/selfsubjectreviews',
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
];

/** Reading a certificate takes as long as answering a small request, and a connection never changes its own. */
const users = new WeakMap<TLSSocket, User>();

/**
 * Who asks, or whom an administrator asks to be taken for.
 * @throws ApiStatusError 400, 401, 403
 */
export function admit(request: IncomingMessage, info: RequestInfo): User {
  let user = authenticate(request);
  const wanted = impersonationOf(request);
  if (wanted) {
    authorize(user, { ...info, verb: `impersonate-on:${wanted.mode}:${info.verb}` });
    user = wanted.user;
  }
  authorize(user, info);
  return user;
}

/**
 * Who asks: the subject of a client certificate of our CA, or nobody in particular. There are no tokens yet, so each one is wrong.
 * @throws ApiStatusError 401
 */
function authenticate(request: IncomingMessage): User {
  const socket = request.socket as TLSSocket;
  if (socket.authorized) {
    const known = users.get(socket);
    if (known) return known;
    const { CN = '', O: organizations = [] } = socket.getPeerCertificate().subject;
    const groups = typeof organizations === 'string' ? [organizations] : organizations;
    const user = { name: typeof CN === 'string' ? CN : CN.join(','), groups: [...groups, 'system:authenticated'] };
    users.set(socket, user);
    return user;
  }
  if (request.headers.authorization) throw new ApiStatusError(401, 'Unauthorized', 'Unauthorized');
  return ANONYMOUS;
}

/** There are no roles of one's own: administrators may do everything, others what is open to all. */
export function isAllowed({ groups }: User, asked: Attributes): boolean {
  if (groups.includes(ADMIN_GROUP)) return true;
  const isNamed = groups.includes('system:authenticated');
  if (asked.isResource) {
    return isNamed && asked.verb === 'create' && SELF_REVIEWS.includes(`${asked.group}/${asked.plural}`);
  }
  if (asked.verb !== 'get') return false;
  return PUBLIC_PATHS.includes(asked.path.replace(/\/$/, '')) || (isNamed && DISCOVERY.test(asked.path));
}

/** @throws ApiStatusError 403, in upstream's words */
function authorize(user: User, info: RequestInfo): void {
  if (isAllowed(user, info)) return;
  const who = `User ${JSON.stringify(user.name)} cannot ${info.verb}`;
  if (!info.isResource) {
    throw new ApiStatusError(403, 'Forbidden', `forbidden: ${who} path ${JSON.stringify(info.path)}`, {});
  }
  const { group, plural, name, subresource, namespace } = info;
  const resource = subresource ? `${plural}/${subresource}` : plural;
  const scope = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope';
  const subject = `${plural}${group ? `.${group}` : ''}${name ? ` ${JSON.stringify(name)}` : ''}`;
  const message = `${subject} is forbidden: ${who} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${scope}`;
  throw new ApiStatusError(403, 'Forbidden', message, {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    kind: plural,
  });
}
