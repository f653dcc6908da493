/** The API server's refusals, word for word. Source: apimachinery pkg/api/errors; texts as recorded in test/data. */
import type { StatusDetails } from '../../api/generated/types.ts';
import type { Resource } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';

type GroupResource = Pick<Resource, 'group' | 'plural'>;

/** `pods`, `leases.coordination.k8s.io` */
export function qualified({ group, plural }: GroupResource): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function detailsOf({ group, plural }: GroupResource, name: string): StatusDetails {
  return { ...(name ? { name } : {}), ...(group ? { group } : {}), kind: plural };
}

export function notFound(resource: GroupResource, name: string): ApiStatusError {
  const message = `${qualified(resource)} ${JSON.stringify(name)} not found`;
  return new ApiStatusError(404, 'NotFound', message, detailsOf(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): ApiStatusError {
  const message = `${qualified(resource)} ${JSON.stringify(name)} already exists`;
  return new ApiStatusError(409, 'AlreadyExists', message, detailsOf(resource, name));
}

/** @param why as it stands after `Operation cannot be fulfilled on X: ` */
export function conflict(resource: GroupResource, name: string, why: string): ApiStatusError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${why}`;
  return new ApiStatusError(409, 'Conflict', message, detailsOf(resource, name));
}

/** Someone else wrote in between. */
export function staleVersion(resource: GroupResource, name: string): ApiStatusError {
  return conflict(
    resource,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );
}

export function forbidden(resource: GroupResource, name: string, why: string): ApiStatusError {
  const subject = name ? `${qualified(resource)} ${JSON.stringify(name)}` : qualified(resource);
  return new ApiStatusError(403, 'Forbidden', `${subject} is forbidden: ${why}`, detailsOf(resource, name));
}

export function badRequest(message: string): ApiStatusError {
  return new ApiStatusError(400, 'BadRequest', message);
}

/** For errors that upstream does not classify: its answer is a bare 500. */
export function unclassified(message: string): ApiStatusError {
  return new ApiStatusError(500, '', message);
}

export function methodNotAllowed(): ApiStatusError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiStatusError(405, 'MethodNotAllowed', message, {});
}

/** No such path below a known API group. */
export function noSuchResource(): ApiStatusError {
  return new ApiStatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** The history before `oldest` is compacted: list again. */
export function expired(message: string): ApiStatusError {
  return new ApiStatusError(410, 'Expired', message);
}

/** A revision that has not been given out yet. */
export function versionTooLarge(asked: number, current: number): ApiStatusError {
  return new ApiStatusError(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** The patches that are served; server-side apply is not among them yet. */
export const PATCH_CONTENT_TYPES = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
} as const;

/** A body that is none of them. */
export function unsupportedMediaType(): ApiStatusError {
  return new ApiStatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

/** Server-side apply: kubectl then says that the server does not have it. */
export function unsupportedApply(): ApiStatusError {
  const accepted = Object.keys(PATCH_CONTENT_TYPES).join(', ');
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
  return new ApiStatusError(415, 'UnsupportedMediaType', message);
}
