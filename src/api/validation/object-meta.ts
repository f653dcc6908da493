import type { ObjectMeta, OwnerReference } from '../generated/types.ts';
import { isDNS1123Label, isDNS1123Subdomain, isLabelValue, isQualifiedName } from '../name-rules.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from './field-error.ts';

/** Rules for metadata: apimachinery `pkg/api/validation/objectmeta.go`. Errors are added to `errors`. */

/** What a resource's names must look like. */
export type NameRule = (name: string) => string[];

export const nameIsSubdomain: NameRule = isDNS1123Subdomain;
export const nameIsLabel: NameRule = isDNS1123Label;
/** The least that holds for every name. Source: apimachinery pkg/api/validation/path */
export const nameIsPathSegment: NameRule = (name) => {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%']
    .filter((character) => name.includes(character))
    .map((character) => `may not contain '${character}'`);
};

const MAX_ANNOTATIONS_BYTES = 256 * 1024;
const STANDARD_FINALIZERS: readonly string[] = ['kubernetes', 'foregroundDeletion', 'orphan'];

/** Metadata of an object that is created. */
export function validateObjectMeta(
  metadata: ObjectMeta,
  namespaced: boolean,
  nameRule: NameRule,
  path: string,
  errors: FieldError[],
): void {
  if (metadata.generateName) {
    for (const message of nameRule(withoutTrailingDash(metadata.generateName))) {
      errors.push(invalid(`${path}.generateName`, metadata.generateName, message));
    }
  }
  if (!metadata.name) {
    errors.push(required(`${path}.name`, 'name or generateName is required'));
  } else {
    for (const message of nameRule(metadata.name)) errors.push(invalid(`${path}.name`, metadata.name, message));
  }
  if (namespaced) {
    if (!metadata.namespace) errors.push(required(`${path}.namespace`));
    else pushInvalid(errors, `${path}.namespace`, metadata.namespace, isDNS1123Label(metadata.namespace));
  } else if (metadata.namespace) {
    errors.push(forbidden(`${path}.namespace`, 'not allowed on this type'));
  }
  validateCommon(metadata, path, errors);
  for (const [i, finalizer] of (metadata.finalizers ?? []).entries()) {
    if (!finalizer.includes('/') && !STANDARD_FINALIZERS.includes(finalizer)) {
      errors.push(
        invalid(
          `${path}.finalizers[${i}]`,
          finalizer,
          'name is neither a standard finalizer name nor is it fully qualified',
        ),
      );
    }
  }
}

/** A generated name's prefix may end in a dash. */
function withoutTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix;
}

function validateCommon(metadata: ObjectMeta, path: string, errors: FieldError[]): void {
  if ((metadata.generation ?? 0) < 0) {
    errors.push(invalid(`${path}.generation`, metadata.generation, NOT_NEGATIVE));
  }
  if (metadata.labels) validateLabels(metadata.labels, `${path}.labels`, errors);
  if (metadata.annotations) validateAnnotations(metadata.annotations, `${path}.annotations`, errors);
  if (metadata.ownerReferences) validateOwnerReferences(metadata.ownerReferences, `${path}.ownerReferences`, errors);
  for (const finalizer of metadata.finalizers ?? []) {
    pushInvalid(errors, `${path}.finalizers`, finalizer, isQualifiedName(finalizer));
  }
}

/** What may not change in metadata; and that the new metadata is sound. */
export function validateObjectMetaUpdate(
  metadata: ObjectMeta,
  old: ObjectMeta,
  path: string,
  errors: FieldError[],
): void {
  if (old.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer));
    if (added.length > 0) {
      const list = added.sort().map((finalizer) => JSON.stringify(finalizer));
      errors.push(
        forbidden(
          `${path}.finalizers`,
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(', ')}}`,
        ),
      );
    }
  }
  if ((metadata.generation ?? 0) < (old.generation ?? 0)) {
    errors.push(invalid(`${path}.generation`, metadata.generation ?? 0, 'must not be decremented'));
  }
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const) {
    validateImmutable(metadata[field], old[field], `${path}.${field}`, errors);
  }
  validateCommon(metadata, path, errors);
}

export const FIELD_IS_IMMUTABLE = 'field is immutable';
export const NOT_NEGATIVE = 'must be greater than or equal to 0';

/** For scalars. */
export function validateImmutable(value: unknown, old: unknown, path: string, errors: FieldError[]): void {
  if (value !== old) errors.push(invalid(path, value, FIELD_IS_IMMUTABLE));
}

export function pushInvalid(errors: FieldError[], path: string, value: unknown, messages: readonly string[]): void {
  for (const message of messages) errors.push(invalid(path, value, message));
}

export function validateLabels(labels: Readonly<Record<string, string>>, path: string, errors: FieldError[]): void {
  for (const [key, value] of Object.entries(labels)) {
    pushInvalid(errors, path, key, isQualifiedName(key));
    pushInvalid(errors, path, value, isLabelValue(value));
  }
}

function validateAnnotations(annotations: Readonly<Record<string, string>>, path: string, errors: FieldError[]): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    pushInvalid(errors, path, key, isQualifiedName(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) errors.push(tooLong(path, MAX_ANNOTATIONS_BYTES));
}

function validateOwnerReferences(owners: readonly OwnerReference[], path: string, errors: FieldError[]): void {
  let controller: string | undefined;
  for (const owner of owners) {
    const version = owner.apiVersion?.split('/').at(-1) ?? '';
    if (version === '') errors.push(invalid(`${path}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty'));
    for (const field of ['kind', 'name', 'uid'] as const) {
      if (!owner[field]) errors.push(invalid(`${path}.${field}`, owner[field] ?? '', 'must not be empty'));
    }
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      errors.push(invalid(path, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (!owner.controller) continue;
    if (controller !== undefined) {
      errors.push(
        invalid(
          path,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${owner.name}`,
        ),
      );
    } else {
      controller = owner.name;
    }
  }
}
