import { goText, jsonKind } from './go-text.ts';
import { formatPath, JsonSyntaxError, parseJson } from './json-text.ts';
import { setOwnValue } from './own-value.ts';
import { canonicalQuantity, QuantityError } from './quantity.ts';
import { apiVersionOf, type KubeObject, type Resource } from './resources.ts';
import type { FieldSchema } from './schema-table.ts';
import { ApiStatusError } from './status-error.ts';
import { formatTime, parseTime } from './time.ts';
import { internalGroup, parseApiVersion, schemaOf, typeNameOf } from './type-names.ts';
import { invalid, invalidError } from './validation/field-error.ts';

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
 * Decodes a JSON value into an object of this resource: unknown fields are dropped and reported, nulls and empty optional lists
 * are dropped, quantities and times are made canonical. `kind` and `apiVersion` may be absent. The value is not changed.
 * @throws ApiStatusError 400 in the API server's words
 */
export function decodeObject<T extends KubeObject>(
  resource: Resource<T>,
  value: unknown,
  options: DecodeOptions = {},
): Decoded<T> {
  return decodeRoot(resource, value, () => JSON.stringify(value) ?? '', [], options);
}

/** Where a value that is to be decoded comes from, when it is no body. */
export interface PatchSource {
  readonly type: 'json' | 'merge' | 'strategic';
  readonly patch: unknown;
}

/**
 * As `decodeObject`, of what a patch has made of an object. Upstream decodes the results of strategic patches with another decoder,
 * which has words of its own and knows the kind beforehand.
 * Source: apiserver pkg/endpoints/handlers/patch.go, apimachinery pkg/runtime/converter.go
 * @throws ApiStatusError 422
 */
export function decodePatched<T extends KubeObject>(
  resource: Resource<T>,
  patched: unknown,
  source: PatchSource,
  options: DecodeOptions,
): Decoded<T> {
  const isTyped = source.type === 'strategic';
  const value = isTyped ? { ...(patched as object), kind: resource.kind, apiVersion: apiVersionOf(resource) } : patched;
  const shown = isTyped ? goText(source.patch) : JSON.stringify(patched);
  const refuse = (problem: string): ApiStatusError =>
    invalidError({ group: '', kind: '' }, '', [invalid('patch', shown, problem)]);
  return decodeRoot(resource, value, () => shown, [], options, { refuse, isTyped });
}

/** As `decodeObject`, from JSON text; also finds duplicate fields. */
export function decodeJson<T extends KubeObject>(
  resource: Resource<T>,
  text: string,
  options: DecodeOptions = {},
): Decoded<T> {
  let parsed: ReturnType<typeof parseJson>;
  try {
    parsed = parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw unrecognized(resource, error.message, text);
    throw error;
  }
  return decodeRoot(resource, parsed.value, () => text, parsed.duplicates, options);
}

/**
 * Decodes a value of any type of the schema table (`meta.v1.DeleteOptions`, `core.v1.PodSpec`); unknown fields are dropped in silence.
 * @throws ApiStatusError 400
 */
export function decodeType(typeName: string, value: unknown): unknown {
  try {
    return decoderOf(typeName)(value, new Context());
  } catch (error) {
    throw badRequest(decodeMessage(error), error);
  }
}

const badRequest = (message: string, cause?: unknown) =>
  new ApiStatusError(400, 'BadRequest', message, undefined, { cause });

/** The body cannot even be asked for its kind. */
function unrecognized(resource: Resource, problem: string, text: string): ApiStatusError {
  const shown = text.startsWith('{') ? text : Buffer.from(text).toString('hex');
  const limit = text.startsWith('{') ? 30 : 60;
  const summary = text === '' ? '<empty>' : shown.length > limit ? `${shown.slice(0, limit)} ...` : shown;
  return badRequest(
    `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; json parse error: ${problem} (${summary})`,
  );
}

const KIND_STRUCT =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

function decodeRoot<T extends KubeObject>(
  resource: Resource<T>,
  body: unknown,
  /** For an error's words. */
  text: () => string,
  duplicates: readonly string[],
  { fieldValidation = 'Warn' }: DecodeOptions,
  patched?: { readonly refuse: (problem: string) => ApiStatusError; readonly isTyped: boolean },
): Decoded<T> {
  // To Go's decoder a null changes nothing.
  const value = body === null ? {} : body;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw unrecognized(
      resource,
      `json: cannot unmarshal ${jsonKind(value)} into Go value of type ${KIND_STRUCT}`,
      text(),
    );
  }
  const { kind: givenKind, apiVersion: givenVersion } = value as Record<string, unknown>;
  for (const [field, given] of [
    ['apiVersion', givenVersion],
    ['kind', givenKind],
  ] as const) {
    if (given !== undefined && given !== null && typeof given !== 'string') {
      throw unrecognized(
        resource,
        `json: cannot unmarshal ${jsonKind(given)} into Go struct field .${field} of type string`,
        text(),
      );
    }
  }
  const kind = (givenKind as string) || resource.kind;
  const { group, version } = givenVersion ? parseApiVersion(givenVersion as string) : resource;
  const fail = (problem: string, cause?: unknown): ApiStatusError =>
    patched?.refuse(problem) ??
    badRequest(
      `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${resource.kind}: ${problem}`,
      cause,
    );
  if (kind !== resource.kind || version !== resource.version || group !== resource.group) {
    const known = typeNameOf({ group, version, kind });
    throw fail(
      known
        ? `converting (${version}.${kind}) to (${internalGroup(resource.group)}.${resource.kind}): unknown conversion`
        : `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify((givenVersion as string) || apiVersionOf(resource))} in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  const typeName = typeNameOf(resource);
  const context = new Context();
  let object: Record<string, unknown>;
  try {
    object = (typeName ? decoderOf(typeName)(value, context) : structuredClone(value)) as Record<string, unknown>;
  } catch (error) {
    throw fail((patched?.isTyped && (error as DecodeError).conversion) || decodeMessage(error), error);
  }
  object.metadata ??= {};
  if (patched?.isTyped) context.unknown.sort();
  const problems =
    fieldValidation === 'Ignore'
      ? []
      : [
          ...context.unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
          ...duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`),
        ];
  if (fieldValidation === 'Strict' && problems.length > 0) throw fail(`strict decoding error: ${problems.join(', ')}`);
  return {
    object: { ...object, kind: resource.kind, apiVersion: apiVersionOf(resource) } as unknown as T,
    warnings: problems,
  };
}

// ---- the walker: one closure for each type and field, made when first needed

/** A value of the wrong type; the message is that of Go's decoder of JSON. */
class DecodeError extends Error {
  /** The words of the converter from maps, where they are others. */
  readonly conversion: string | undefined;

  constructor(message: string, conversion?: string) {
    super(message);
    this.conversion = conversion;
  }
}

/** Go's kinds of what JSON is decoded into; a number is whole unless it is named. */
const GO_KINDS: Readonly<Record<string, string>> = { array: 'slice', object: 'map', number: 'int64' };

/** @param what as JSON names it: `string`, `array`, `number`, `number 1.5` @param goType what it should be */
function conversionError(what: string, goType: string): string {
  const kind = GO_KINDS[what] ?? (what.startsWith('number ') ? 'float64' : what);
  if (goType.startsWith('map[')) return `cannot restore map from ${kind}`;
  if (goType.startsWith('[]')) return `cannot restore slice from ${kind}`;
  const isNumber = /^(?:int|float)\d+$/.test(goType);
  const isText = goType === 'string' || NAMED_TYPES.has(goType);
  if (!isNumber && !isText && goType !== 'bool') return `cannot restore struct from: ${kind}`;
  // Go would make a character of a whole number: that it knows how, and does not want to, makes other words.
  if ((isText && kind === 'int64') || (isNumber && kind === 'float64')) return `cannot convert ${kind} to ${goType}`;
  return `unrecognized type: ${isText ? 'string' : goType}`;
}

function decodeMessage(error: unknown): string {
  if (error instanceof DecodeError || error instanceof QuantityError) return error.message;
  throw error;
}

class MapKey {
  readonly key: string;
  constructor(key: string) {
    this.key = key;
  }
}

/** Where the walk is. */
class Context {
  /** Fields, list indices and map keys from the root. Not unwound after an error. */
  readonly path: (string | number | MapKey)[] = [];
  /** The Go struct that the innermost field belongs to. */
  struct = '';
  readonly unknown: string[] = [];

  /** As upstream words it: the struct, and the fields from the root without indices and map keys. */
  mismatch(what: string, goType: string): DecodeError {
    const fields = this.path.filter((part) => typeof part === 'string').join('.');
    const into = this.struct === '' ? 'value' : `struct field ${this.struct}.${fields}`;
    return new DecodeError(
      `json: cannot unmarshal ${what} into Go ${into} of type ${goType}`,
      conversionError(what, goType),
    );
  }

  reportUnknown(field: string): void {
    // Upstream keeps the first hundred.
    if (this.unknown.length >= 100) return;
    const path = this.path.map((part) => (part instanceof MapKey ? part.key : part));
    this.unknown.push(formatPath([...path, field]));
  }
}

type Decoder = (value: unknown, context: Context) => unknown;

const decoders = new Map<string, Decoder>();

function decoderOf(typeName: string): Decoder {
  let decoder = decoders.get(typeName);
  if (!decoder) {
    decoder = compileType(typeName);
    decoders.set(typeName, decoder);
  }
  return decoder;
}

function compileType(typeName: string): Decoder {
  const { fields, required, ...scalar } = schemaOf(typeName);
  if (typeName === 'meta.v1.Time') return decodeTime;
  if (typeName === 'meta.v1.MicroTime') return decodeMicroTime;
  if (!fields) return compileField(scalar, 'value', true);
  const struct = typeName.slice(typeName.lastIndexOf('.') + 1);
  const goType = goTypeOf(typeName);
  const table = new Map(
    Object.entries(fields).map(([name, schema]): [string, () => Decoder] => {
      let decoder: Decoder | undefined;
      return [
        name,
        () =>
          (decoder ??= compileField(
            schema,
            NAMED_STRINGS[`${struct}.${name}`] ?? 'string',
            required?.includes(name) ?? false,
          )),
      ];
    }),
  );
  return (value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      if (value === null) return {};
      throw context.mismatch(jsonKind(value), goType);
    }
    const outer = context.struct;
    const result: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      const member = (value as Record<string, unknown>)[name];
      // Undefined is what callers within the process may leave behind.
      if (member === undefined) continue;
      const decoder = table.get(name);
      if (!decoder) {
        context.reportUnknown(name);
        continue;
      }
      if (member === null) continue;
      context.struct = struct;
      context.path.push(name);
      const decoded = decoder()(member, context);
      context.path.pop();
      if (decoded !== undefined) result[name] = decoded;
    }
    context.struct = outer;
    return result;
  };
}

/** @param stringType the Go type of a string here @param required an empty list or map is kept */
function compileField(schema: FieldSchema, stringType: string, required: boolean): Decoder {
  if (schema.ref) {
    const { ref } = schema;
    return (value, context) => decoderOf(ref)(value, context);
  }
  switch (schema.type) {
    case 'string':
      if (schema.format === 'byte') return decodeBytes;
      return (value, context) => {
        if (typeof value !== 'string') throw context.mismatch(jsonKind(value), stringType);
        return value;
      };
    case 'boolean':
      return (value, context) => {
        if (typeof value !== 'boolean') throw context.mismatch(jsonKind(value), 'bool');
        return value;
      };
    case 'integer':
      return integerDecoder(schema.format === 'int32' ? 'int32' : 'int64');
    case 'number':
      return (value, context) => {
        if (typeof value !== 'number') throw context.mismatch(jsonKind(value), 'float64');
        return value;
      };
    case 'quantity':
      return decodeQuantity;
    case 'int-or-string':
      return decodeIntOrString;
    case 'array':
      return listDecoder(schema, required);
    case 'object':
      return schema.values ? mapDecoder(schema.values, required) : (value) => value;
    default:
      return (value) => value;
  }
}

/** What a null in a list or a map is decoded into, by the type of the members. */
function zeroOf(schema: FieldSchema): unknown {
  switch (schema.ref ? schemaOf(schema.ref).type : schema.type) {
    case 'string':
      return '';
    case 'quantity':
      return '0';
    case 'integer':
      return 0;
    default:
      return {};
  }
}

function listDecoder(schema: FieldSchema, required: boolean): Decoder {
  const item = compileField(schema.items ?? {}, 'string', false);
  const goType = `[]${goTypeOfField(schema.items ?? {})}`;
  const zero = zeroOf(schema.items ?? {});
  return (value, context) => {
    if (!Array.isArray(value)) throw context.mismatch(jsonKind(value), goType);
    if (value.length === 0 && !required) return undefined;
    return value.map((member, i) => {
      context.path.push(i);
      const decoded = member === null ? zero : item(member, context);
      context.path.pop();
      return decoded;
    });
  };
}

function mapDecoder(schema: FieldSchema, required: boolean): Decoder {
  const item = compileField(schema, 'string', true);
  const goType = `map[string]${goTypeOfField(schema)}`;
  const zero = zeroOf(schema);
  return (value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw context.mismatch(jsonKind(value), goType);
    const keys = Object.keys(value);
    if (keys.length === 0 && !required) return undefined;
    const result: Record<string, unknown> = {};
    for (const key of keys) {
      const member = (value as Record<string, unknown>)[key];
      if (member === undefined) continue;
      context.path.push(new MapKey(key));
      setOwnValue(result, key, member === null ? zero : item(member, context));
      context.path.pop();
    }
    return result;
  };
}

function integerDecoder(goType: 'int32' | 'int64'): Decoder {
  const max = goType === 'int32' ? 2 ** 31 : 2 ** 63;
  return (value, context) => {
    if (typeof value !== 'number') throw context.mismatch(jsonKind(value), goType);
    if (!Number.isInteger(value) || value >= max || value < -max) throw context.mismatch(`number ${value}`, goType);
    return value;
  };
}

/** Types that decode themselves in Go know nothing of their place: their messages have none. */
const custom = (value: unknown, goType: string): DecodeError =>
  new DecodeError(`json: cannot unmarshal ${jsonKind(value)} into Go value of type ${goType}`);

const decodeQuantity: Decoder = (value) => {
  if (typeof value === 'string') return canonicalQuantity(value.trim());
  return canonicalQuantity(typeof value === 'number' ? String(value) : JSON.stringify(value));
};

const decodeIntOrString: Decoder = (value) => {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') throw custom(value, 'int32');
  if (!Number.isInteger(value) || value >= 2 ** 31 || value < -(2 ** 31)) {
    throw new DecodeError(`json: cannot unmarshal number ${value} into Go value of type int32`);
  }
  return value;
};

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[-+]\d{2}:\d{2})$/;

function timeOf(value: unknown, layout: string): number {
  if (typeof value !== 'string') throw custom(value, 'string');
  const ms = RFC3339.test(value) ? parseTime(value) : undefined;
  if (ms === undefined) {
    throw new DecodeError(
      `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(value)} as "2006"`,
    );
  }
  return ms;
}

const decodeTime: Decoder = (value) => {
  if (value === '') return undefined;
  return formatTime(timeOf(value, '2006-01-02T15:04:05Z07:00'));
};

/** Keeps the microseconds, which a number of milliseconds would lose. */
const decodeMicroTime: Decoder = (value) => {
  if (value === '') return undefined;
  const ms = timeOf(value, '2006-01-02T15:04:05.000000Z07:00');
  const fraction = /[.,](\d+)/.exec(value as string)?.[1] ?? '';
  return formatTime(ms).replace('Z', `.${fraction.slice(0, 6).padEnd(6, '0')}Z`);
};

const decodeBytes: Decoder = (value, context) => {
  if (typeof value !== 'string') throw context.mismatch(jsonKind(value), '[]uint8');
  const bad = base64Error(value);
  if (bad !== undefined) {
    const problem = `illegal base64 data at input byte ${bad}`;
    throw new DecodeError(problem, `error decoding from json: ${problem}`);
  }
  return /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, '') : value;
};

/** Where Go's base64 decoder gives up: an offset, or undefined when the text is sound. Line breaks are skipped. */
function base64Error(text: string): number | undefined {
  let inQuantum = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === '\n' || char === '\r') continue;
    if (char === '=') {
      if (inQuantum < 2) return i;
      const rest = text.slice(i + 1);
      if (inQuantum === 2) {
        const second = rest.search(/[^\r\n]/);
        if (second < 0) return text.length;
        if (rest[second] !== '=') return i + 1 + second - 1;
        const tail = rest.slice(second + 1).search(/[^\r\n]/);
        return tail < 0 ? undefined : i + 1 + second + 1 + tail;
      }
      const tail = rest.search(/[^\r\n]/);
      return tail < 0 ? undefined : i + 1 + tail;
    }
    if (!/[A-Za-z0-9+/]/.test(char)) return i;
    inQuantum = (inQuantum + 1) % 4;
  }
  return inQuantum === 0 ? undefined : text.length - inQuantum;
}

function goTypeOf(typeName: string): string {
  return typeName.split('.').slice(-2).join('.');
}

function goTypeOfField(schema: FieldSchema): string {
  if (schema.ref) return goTypeOf(schema.ref);
  if (schema.type === 'array') return `[]${goTypeOfField(schema.items ?? {})}`;
  if (schema.type === 'boolean') return 'bool';
  if (schema.type === 'integer') return schema.format === 'int32' ? 'int32' : 'int64';
  return schema.format === 'byte' ? '[]uint8' : 'string';
}

/** Strings that have a type of their own in Go, which the published schema does not name. */
const NAMED_STRINGS: Readonly<Record<string, string>> = {
  'ObjectMeta.uid': 'types.UID',
  'ObjectReference.uid': 'types.UID',
  'OwnerReference.uid': 'types.UID',
  'Container.imagePullPolicy': 'v1.PullPolicy',
  'Container.restartPolicy': 'v1.ContainerRestartPolicy',
  'Container.terminationMessagePolicy': 'v1.TerminationMessagePolicy',
  'ContainerPort.protocol': 'v1.Protocol',
  'EmptyDirVolumeSource.medium': 'v1.StorageMedium',
  'HostPathVolumeSource.type': 'v1.HostPathType',
  'HTTPGetAction.scheme': 'v1.URIScheme',
  'PodSpec.dnsPolicy': 'v1.DNSPolicy',
  'PodSpec.preemptionPolicy': 'v1.PreemptionPolicy',
  'PodSpec.restartPolicy': 'v1.RestartPolicy',
  'PodReadinessGate.conditionType': 'v1.PodConditionType',
  'PodCondition.type': 'v1.PodConditionType',
  'PodCondition.status': 'v1.ConditionStatus',
  'PodStatus.phase': 'v1.PodPhase',
  'SeccompProfile.type': 'v1.SeccompProfileType',
  'Secret.type': 'v1.SecretType',
  'ServicePort.protocol': 'v1.Protocol',
  'ServiceSpec.type': 'v1.ServiceType',
  'ServiceSpec.sessionAffinity': 'v1.ServiceAffinity',
  'Toleration.effect': 'v1.TaintEffect',
  'Toleration.operator': 'v1.TolerationOperator',
};
const NAMED_TYPES: ReadonlySet<string> = new Set(Object.values(NAMED_STRINGS));
