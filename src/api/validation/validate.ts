import type { KubeObject, Resource } from '../resources.ts';
import type { FieldError } from './field-error.ts';

/**
 * Everything that is wrong with an object that is to be created, in the API server's order and words; empty when nothing is.
 * The object is decoded and defaulted, its namespace is set.
 */
export function validate(_resource: Resource, _object: KubeObject): FieldError[] {
  return [];
}

/** Everything that is wrong with an update: what `validate` finds, and changes that are not allowed. */
export function validateUpdate(resource: Resource, object: KubeObject, _old: KubeObject): FieldError[] {
  return validate(resource, object);
}
