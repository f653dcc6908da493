import type { ManifestObject } from '../api/manifest.ts';
import type { KubeObject } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import type { KubeClient, WriteOptions } from '../client/kube-client.ts';
import { locateError, locateWarning } from './manifest.ts';

export type Validate = 'strict' | 'warn' | 'ignore';

export interface Applied {
  readonly object: KubeObject;
  readonly outcome: 'created' | 'configured' | 'unchanged';
}

/**
 * Creates the object, or, when it is there, merges the manifest into it (strategic merge: containers by name, and so on).
 * Rejects with what the server says, field by field with its place in the file.
 * @param warn is called with each warning of the server, with its place
 */
export async function applyManifest(
  client: KubeClient,
  manifest: ManifestObject,
  validate: Validate,
  warn: (text: string) => void,
): Promise<Applied> {
  const { resource, object } = manifest;
  const options: WriteOptions = {
    fieldManager: 'kubelette',
    fieldValidation: ({ strict: 'Strict', warn: 'Warn', ignore: 'Ignore' } as const)[validate],
    onWarning: (text) => warn(locateWarning(text, manifest)),
  };
  try {
    const { name, namespace } = object.metadata;
    const before = name === undefined ? undefined : await getOrUndefined(client.get(resource, { name, namespace }));
    if (!before) return { object: await client.create(resource, object, options), outcome: 'created' };
    const after = await client.patch(resource, { name: name!, namespace }, 'strategic', object, options);
    const changed = after.metadata.resourceVersion !== before.metadata.resourceVersion;
    return { object: after, outcome: changed ? 'configured' : 'unchanged' };
  } catch (error) {
    throw locateError(error, manifest);
  }
}

/** What a read resolves with, or undefined when there is no such object. */
export async function getOrUndefined<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
