import { type ManifestObject, readManifest } from '../api/manifest.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';
import { findMismatch } from './find-mismatch.ts';
import { readInput } from './read-input.ts';

/**
 * The objects of manifest files (`-`: standard input), in order; those that name no namespace get this one. All files are read
 * before anything is done with the first, so that a typing error in the last one leaves nothing half done.
 * @throws UserError with file, line and column
 */
export async function readManifestFiles(
  context: Pick<CliContext, 'stdin' | 'cwd'>,
  files: readonly string[],
  namespace: string,
): Promise<ManifestObject[]> {
  const objects: ManifestObject[] = [];
  for (const file of files) {
    for (const { resource, object, locate } of readManifest(await readInput(context, file), file)) {
      const { metadata } = object;
      const placed = resource.namespaced ? { ...object, metadata: { namespace, ...metadata } } : object;
      objects.push({ resource, object: placed, locate });
    }
  }
  return objects;
}

/**
 * An error of the API server about this object, with the place in the file of every field that it names, as one `UserError`.
 * Anything else is returned as it is.
 */
export function locateError(error: unknown, at: ManifestObject): unknown {
  if (!(error instanceof ApiStatusError)) return error;
  const name = `${at.resource.kind} "${at.object.metadata.name ?? ''}"`;
  const causes = (error.details?.causes ?? []).filter((c) => c.field);
  if (error.reason === 'Invalid' && causes.length > 0) {
    const lines = causes.map((c) => `${at.locate(c.field!)}: ${c.field}: ${c.message ?? 'invalid'}`);
    return new UserError(`${name} is invalid:\n${lines.join('\n')}`, { cause: error });
  }
  // strict decoding error: unknown field "spec.x", duplicate field "spec.y"
  const fields = [...error.message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)];
  if (error.reason === 'BadRequest' && fields.length > 0) {
    const lines = fields.map(([words, field]) => `${at.locate(field!)}: ${words}`);
    return new UserError(`${name} has fields that do not exist:\n${lines.join('\n')}`, {
      hint: '--validate=warn applies the rest',
      cause: error,
    });
  }
  if (error.reason === 'BadRequest') {
    const field = findMismatch(error.message, at.object);
    const words = error.message.replace(/^.* cannot be handled as an? \w+: (json: )?/s, '');
    return new UserError(
      `${name} cannot be decoded:\n${at.locate(field)}: ${field === undefined ? '' : `${field}: `}${words}`,
      { cause: error },
    );
  }
  return error;
}

/** A warning of the API server with the place of the field it names, if it names one. */
export function locateWarning(text: string, at: ManifestObject): string {
  const field = /field "([^"]+)"/.exec(text)?.[1] ?? /^([a-z]\w*(?:\.\w+|\[[^\]]*\])+)\b/.exec(text)?.[1];
  return field === undefined ? text : `${at.locate(field)}: ${text}`;
}

/** How the object is called in messages: `pod/p`. */
export function nameOf({ resource, object }: Pick<ManifestObject, 'resource' | 'object'>): string {
  return `${resource.kind.toLowerCase()}/${object.metadata.name ?? object.metadata.generateName ?? ''}`;
}
