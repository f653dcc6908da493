import { jsonKind } from '../api/go-text.ts';

/** `json: cannot unmarshal WHAT into Go struct field STRUCT.FIELDS of type TYPE`; a number out of range has its value in it. */
const MISMATCH = /json: cannot unmarshal (\w+)(?: (\S+))? into Go struct field \w*\.([\w.$-]+) of type /;

/**
 * Which field a server means that could not decode an object: its message names fields without indices and map keys, so the first
 * value there of the type that it complains of is taken.
 * @returns a path such as `spec.containers[1].ports[0].containerPort`; undefined when the message names no field of this object
 */
export function findMismatch(message: string, object: object): string | undefined {
  const [, kind, number, fields] = MISMATCH.exec(message) ?? [];
  if (fields === undefined) return undefined;
  for (const { path, value } of placesOf(object, fields.split('.'), '')) {
    if (jsonKind(value) === kind && (number === undefined || String(value) === number)) return path;
  }
  return undefined;
}

function* placesOf(
  value: unknown,
  fields: readonly string[],
  path: string,
): Generator<{ path: string; value: unknown }> {
  const [field, ...rest] = fields;
  if (field === undefined) yield { path, value };
  if (typeof value !== 'object' || value === null) return;
  if (field !== undefined && !Array.isArray(value)) {
    if (!Object.hasOwn(value, field)) return;
    yield* placesOf((value as Record<string, unknown>)[field], rest, path === '' ? field : `${path}.${field}`);
    return;
  }
  for (const [key, item] of Object.entries(value)) yield* placesOf(item, fields, `${path}[${key}]`);
}
