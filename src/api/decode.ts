import type { KubeObject, Resource } from './resources.ts';

/** What to do with unknown and duplicate fields. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface DecodeOptions {
  /** Default `Warn`, as the API server's. */
  readonly fieldValidation?: FieldValidation | undefined;
}

export interface Decoded<T> {
  readonly object: T;
  /** Texts for `Warning` headers, such as `unknown field "spec.foo"`. */
  readonly warnings: string[];
}

/**
 * Decodes a JSON value into an object of this resource: unknown fields are dropped (and reported), nulls are dropped, quantities
 * are made canonical. `kind` and `apiVersion` may be absent.
 * @throws ApiStatusError 400 in the API server's words
 */
export function decodeObject<T extends KubeObject>(
  _resource: Resource<T>,
  value: unknown,
  _options: DecodeOptions = {},
): Decoded<T> {
  return { object: value as T, warnings: [] };
}

/** As `decodeObject`, from JSON text; also finds duplicate fields. */
export function decodeJson<T extends KubeObject>(
  resource: Resource<T>,
  text: string,
  options: DecodeOptions = {},
): Decoded<T> {
  return decodeObject(resource, JSON.parse(text), options);
}
