import { isDeepStrictEqual } from 'node:util';
import { applyPatch as applyJsonOperations, type Operation, Pointer } from 'rfc6902';
import { copyJson } from './copy-json.ts';
import { SCHEMA } from './generated/schema.ts';
import { goText, jsonKind } from './go-text.ts';
import { JsonSyntaxError, parseJson } from './json-text.ts';
import { ownValue, setOwnValue } from './own-value.ts';
import type { KubeObject, Resource } from './resources.ts';
import type { FieldSchema } from './schema-table.ts';
import { ApiStatusError } from './status-error.ts';
import { typeNameOf } from './type-names.ts';

/** The kinds of patch that are applied here; server-side apply is not one of them. */
export type PatchBodyType = 'json' | 'merge' | 'strategic';

const MAX_OPERATIONS = 10_000;
/** What the copies of one JSON patch may come to, bytes of JSON. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

/** What the API server answers to any patch that does not fit the object, without saying why. */
const rejected = (cause: unknown) =>
  new ApiStatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {}, { cause });
const undecodable = (problem: string, cause?: unknown) =>
  new ApiStatusError(400, 'BadRequest', `error decoding patch: ${problem}`, undefined, { cause });

/** Upstream does not classify these mistakes: its answer is a bare 500. */
const unclassified = (message: string) => new ApiStatusError(500, '', message);
const unknownDirective = (directive: unknown, patch: Fields) =>
  unclassified(`unknown patch type: ${goText(directive)} in map: ${goText({ ...patch, [DIRECTIVE]: directive })}`);

/** Reads the body of a patch request. @throws ApiStatusError 400 in the API server's words */
export function parsePatch(text: string): unknown {
  try {
    return parseJson(text).value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw undecodable(error.message, error);
    throw error;
  }
}

/**
 * Applies a patch to a copy of `object`; nothing of it stands when it fails. The result is raw: it still wants decoding.
 * @param patch the decoded body
 * @throws ApiStatusError 400 (no patch of this kind), 422 (does not fit the object) or 500 (directives and keys that are wrong) in the API server's words
 */
export function applyPatch<T extends KubeObject>(
  type: PatchBodyType,
  resource: Resource<T>,
  object: T,
  patch: unknown,
): T {
  if (type === 'json') return applyJsonPatch(object, patch);
  if (!isMap(patch)) {
    throw undecodable(`json: cannot unmarshal ${jsonKind(patch)} into Go value of type map[string]interface {}`);
  }
  if (type === 'merge') return mergePatch(copyJson(object), patch) as T;
  const typeName = typeNameOf(resource);
  return mergeMap(
    copyJson(object) as unknown as Fields,
    copyJson(patch),
    typeName ? { ref: typeName } : undefined,
  ) as unknown as T;
}

type Fields = Record<string, unknown>;

function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function applyJsonPatch<T>(object: T, patch: unknown): T {
  if (!Array.isArray(patch)) {
    throw undecodable(`json: cannot unmarshal ${jsonKind(patch)} into Go value of type []handlers.jsonPatchOp`);
  }
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiStatusError(
      413,
      'RequestEntityTooLarge',
      `Request entity is too large: The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  for (const operation of patch) {
    if (!isMap(operation)) {
      throw undecodable(`json: cannot unmarshal ${jsonKind(operation)} into Go value of type handlers.jsonPatchOp`);
    }
    if (typeof operation.path !== 'string') throw rejected(new Error('operation without path'));
    // An operation on the whole document would not leave an object of this kind behind.
    if (operation.path === '' && operation.op !== 'test') throw rejected(new Error('operation on the root'));
  }
  // The library works in place and goes on after an error: hence the copy.
  const result = copyJson(object);
  let failure: unknown;
  let copied = 0;
  try {
    for (const operation of copyJson(patch) as Operation[]) {
      if (operation.op === 'copy') copied += sizeOf(Pointer.fromJSON(operation.from).get(result));
      if (copied > MAX_COPIED_BYTES) {
        const words = `Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${MAX_COPIED_BYTES}`;
        throw new Error(words);
      }
      [failure] = applyJsonOperations(result, [operation]);
      if (failure) break;
    }
  } catch (error) {
    // A pointer that is none.
    failure = error;
  }
  if (failure) throw rejected(failure);
  return result;
}

/** In JSON, bytes. */
function sizeOf(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}

/** RFC 7386. Changes and returns `target`. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Fields = isMap(target) ? target : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setOwnValue(result, key, mergePatch(ownValue(result, key), value));
  }
  return result;
}

// ---- strategic merge patch. Rules: apimachinery pkg/util/strategicpatch

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const SET_ORDER = '$setElementOrder/';
const DELETE_FROM_LIST = '$deleteFromPrimitiveList/';

/** What the schema says of a map's member: a field of the type, or the value of a plain map. */
function memberSchema(schema: FieldSchema | undefined, key: string): FieldSchema | undefined {
  if (!schema?.ref) return schema?.values;
  const type = SCHEMA[schema.ref];
  return ownValue(type?.fields, key) ?? type?.values;
}

function mergeMap(original: Fields, patch: Fields, schema: FieldSchema | undefined): Fields {
  const directive = patch[DIRECTIVE];
  delete patch[DIRECTIVE];
  switch (directive) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return withoutDirectives(patch) as Fields;
    case 'delete':
      return {};
    default:
      throw unknownDirective(directive, patch);
  }
  retainKeys(original, patch);
  const orders = new Map<string, unknown[]>();
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (key.startsWith(SET_ORDER)) {
      orders.set(key.slice(SET_ORDER.length), listOf(value, 'setElementOrder list'));
      delete patch[key];
    } else if (key.startsWith(DELETE_FROM_LIST)) {
      const field = key.slice(DELETE_FROM_LIST.length);
      const gone = listOf(value, 'primitive list');
      const list = original[field];
      if (Array.isArray(list)) original[field] = list.filter((member) => !gone.includes(member));
      delete patch[key];
    }
  }
  for (const [field, order] of orders) {
    // An order alone also sorts what the patch leaves as it is.
    if (!Object.hasOwn(patch, field) && Array.isArray(original[field])) {
      const inner = memberSchema(schema, field);
      original[field] = sortByOrder(original[field], order, original[field], inner?.patchMergeKey);
    }
  }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete original[key];
      continue;
    }
    const inner = memberSchema(schema, key);
    setOwnValue(original, key, mergeValue(ownValue(original, key), value, inner, orders.get(key)));
  }
  return original;
}

function mergeValue(
  original: unknown,
  patch: unknown,
  schema: FieldSchema | undefined,
  order: unknown[] | undefined,
): unknown {
  const strategies = schema?.patchStrategy?.split(',') ?? [];
  if (isMap(original) && isMap(patch)) {
    return strategies.includes('replace') ? withoutDirectives(patch) : mergeMap(original, patch, schema);
  }
  if (Array.isArray(original) && Array.isArray(patch)) {
    if (!strategies.includes('merge')) return withoutDirectives(patch);
    const merged = mergeList(original, patch, schema);
    return sortByOrder(merged, order ?? patch, original, schema?.patchMergeKey);
  }
  if (Array.isArray(patch) && order)
    return sortByOrder(withoutDirectives(patch) as unknown[], order, [], schema?.patchMergeKey);
  return withoutDirectives(patch);
}

/** @param what upstream's name for such lists */
function listOf(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new ApiStatusError(400, 'BadRequest', `invalid patch format of ${what}`);
  return value;
}

/** `$retainKeys` names all members that may remain; a union's other members go. */
function retainKeys(original: Fields, patch: Fields): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const kept = new Set(listOf(patch[RETAIN_KEYS], 'retainKeys'));
  delete patch[RETAIN_KEYS];
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && !kept.has(key)) throw rejected(new Error(`${key} is not among $retainKeys`));
  }
  for (const key of Object.keys(original)) if (!kept.has(key)) delete original[key];
}

function mergeList(original: unknown[], patch: unknown[], schema: FieldSchema | undefined): unknown[] {
  const mergeKey = schema?.patchMergeKey;
  if (!mergeKey) {
    const merged = [...original];
    for (const member of patch) if (!merged.some((have) => isDeepStrictEqual(have, member))) merged.push(member);
    return merged;
  }
  let merged = [...original] as Fields[];
  let replace = false;
  const changes: Fields[] = [];
  for (const member of patch) {
    if (!isMap(member)) throw rejected(new Error(`list of maps has a member that is none`));
    const directive = member[DIRECTIVE];
    if (directive === 'replace') replace = true;
    else if (directive === 'delete') merged = merged.filter((have) => have[mergeKey] !== keyOf(member, mergeKey));
    else if (directive === undefined || directive === 'merge') changes.push(member);
    else throw unknownDirective(directive, member);
  }
  if (replace) return changes.map(withoutDirectives);
  for (const change of changes) {
    const key = keyOf(change, mergeKey);
    const index = merged.findIndex((have) => have[mergeKey] === key);
    if (index < 0) merged.push(withoutDirectives(change) as Fields);
    else merged[index] = mergeMap(merged[index]!, change, schema.items);
  }
  return merged;
}

function keyOf(member: Fields, mergeKey: string): unknown {
  const key = member[mergeKey];
  if (key === undefined) throw unclassified(`map: ${goText(member)} does not contain declared merge key: ${mergeKey}`);
  return key;
}

/**
 * Sorts a merged list by the order that the patch asks for, or has itself. What only the server has keeps its place relative to
 * those neighbours that were there before; what is new comes before it. Source: apimachinery strategicpatch mergeSortedSlice
 */
function sortByOrder(merged: unknown[], order: unknown[], before: unknown[], mergeKey: string | undefined): unknown[] {
  const identity = (member: unknown): unknown => (mergeKey && isMap(member) ? member[mergeKey] : member);
  const wanted = order.map(identity);
  const previous = before.map(identity);
  const named = merged.filter((member) => wanted.includes(identity(member)));
  named.sort((a, b) => wanted.indexOf(identity(a)) - wanted.indexOf(identity(b)));
  const others = merged.filter((member) => !wanted.includes(identity(member)));
  const result: unknown[] = [];
  while (named.length > 0 && others.length > 0) {
    const left = previous.indexOf(identity(named[0]));
    const right = previous.indexOf(identity(others[0]));
    result.push(left >= 0 && right >= 0 && right < left ? others.shift() : named.shift());
  }
  return [...result, ...named, ...others];
}

/** A patch's part that becomes the object's as it is: without directives and nulls. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((member) => !(isMap(member) && (member[DIRECTIVE] === 'delete' || member[DIRECTIVE] === 'replace')))
      .map(withoutDirectives);
  }
  if (!isMap(value)) return value;
  const result: Fields = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === null || key === DIRECTIVE || key === RETAIN_KEYS) continue;
    if (key.startsWith(SET_ORDER) || key.startsWith(DELETE_FROM_LIST)) continue;
    setOwnValue(result, key, withoutDirectives(member));
  }
  return result;
}
