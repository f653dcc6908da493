/** One field of a Kubernetes object, as the API server's published schema describes it. */
export interface FieldSchema {
  /** Name of another entry of the table: `core.v1.Container`. */
  readonly ref?: string;
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'array' | 'quantity' | 'int-or-string';
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly items?: FieldSchema;
  /** Schema of the values when the field is a map (`additionalProperties`). */
  readonly values?: FieldSchema;
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: string;
}

/** A type of the API: either an object with `fields`, or a scalar (`type`). */
export interface TypeSchema extends FieldSchema {
  readonly fields?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  /** Set on types that are served as objects of their own. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** All types by short name, such as `core.v1.Pod` and `meta.v1.ObjectMeta`. */
export type SchemaTable = Readonly<Record<string, TypeSchema>>;

/**
 * The fields of a protobuf message by number. A name that ends in `?` is that of a pointer: its 0, false and '' were said by somebody.
 * Fields within are those of a message of its own that JSON has in the outer object.
 */
export interface MessageFields {
  readonly [number: number]: string | MessageFields;
}
