import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ApiStatusError } from '../../api/status-error.ts';
import type { RequestInfo } from '../handlers/request-info.ts';

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const ADMIN_GROUP = 'system:masters';
/** What everyone may read, as upstream's system:public-info-viewer. */
const PUBLIC_PATHS = ['/healthz', '/livez', '/readyz', '/version'];

/** Reading a certificate takes as long as answering a small request, and a connection never changes its own. */
const users = new WeakMap<TLSSocket, User>();

/**
 * Who asks: the subject of a client certificate of our CA, or nobody in particular. There are no tokens yet, so each one is wrong.
 * @throws ApiStatusError 401
 */
export function authenticate(request: IncomingMessage): User {
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

/** @throws ApiStatusError 403, in upstream's words */
export function authorize(user: User, info: RequestInfo): void {
  if (user.groups.includes(ADMIN_GROUP)) return;
  const who = `User ${JSON.stringify(user.name)} cannot ${info.verb}`;
  if (!info.isResource) {
    if (info.verb === 'get' && PUBLIC_PATHS.includes(info.path.replace(/\/$/, ''))) return;
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
