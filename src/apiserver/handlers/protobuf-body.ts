import type { BinaryReader } from '@bufbuild/protobuf/wire';
import { FIELD_NUMBERS } from '../../api/generated/field-numbers.ts';
import { setOwnValue } from '../../api/own-value.ts';
import type { FieldSchema, MessageFields } from '../../api/schema-table.ts';
import { formatTime } from '../../api/time.ts';
import { parseApiVersion, schemaOf, typeNameOf } from '../../api/type-names.ts';

interface Field {
  readonly name: string;
  readonly schema: FieldSchema;
  /** 0, false and '' say something: for others Go writes them when nothing was given, and JSON leaves them out. */
  readonly keepsZero: boolean;
}
/** Fields by number; a map within is a message whose fields JSON has in the outer object. */
type Message = ReadonlyMap<number, Field | Message>;

/** `k8s` and a zero: what every body in this form begins with. */
const MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
const ENVELOPE = scalars({
  1: ['apiVersion', { type: 'string' }],
  2: ['kind', { type: 'string' }],
});
const TIMESTAMP = scalars({
  1: ['seconds', { type: 'integer' }],
  2: ['nanos', { type: 'integer' }],
});
const INT_OR_STRING = scalars({
  1: ['isText', { type: 'integer' }],
  2: ['number', { type: 'integer' }],
  3: ['text', { type: 'string' }],
});
const QUANTITY = scalars({ 1: ['text', { type: 'string' }] });

/**
 * A body in Kubernetes' protobuf form as the object that its JSON form would be: Go's clients write most objects in it, kubectl from
 * 1.32 on what it makes itself. Of a kind that is not served only kind and version.
 * Source: apimachinery pkg/runtime/serializer/protobuf; field numbers and types: k8s.io/api
 * @throws when the bytes are no such message
 */
export async function decodeProtobuf(body: Buffer): Promise<object> {
  const { BinaryReader } = await import('@bufbuild/protobuf/wire');
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('the body does not begin with "k8s\\0"');
  const reader = new BinaryReader(body.subarray(MAGIC.length));
  let type: { apiVersion?: string; kind?: string } = {};
  let raw: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) type = readNested(reader, ENVELOPE);
    else if (number === 2) raw = reader.bytes();
    else reader.skip(wireType);
  }
  const { apiVersion = '', kind = '' } = type;
  // Every group has options of deletion as its own.
  const typeName =
    kind === 'DeleteOptions' ? 'meta.v1.DeleteOptions' : typeNameOf({ ...parseApiVersion(apiVersion), kind });
  if (!typeName || !Object.hasOwn(FIELD_NUMBERS, typeName)) return { kind, apiVersion };
  return { kind, apiVersion, ...readMessage(new BinaryReader(raw), raw.length, messageOf(typeName)) };
}

function scalars(fields: Record<number, [string, FieldSchema]>): Message {
  return new Map(
    Object.entries(fields).map(([number, [name, schema]]) => [Number(number), { name, schema, keepsZero: false }]),
  );
}

const messages = new Map<string, Message>();

/** @param typeName as in the schema table */
function messageOf(typeName: string): Message {
  let message = messages.get(typeName);
  if (!message) {
    message = compile(typeName, FIELD_NUMBERS[typeName] ?? {});
    messages.set(typeName, message);
  }
  return message;
}

function compile(typeName: string, numbers: MessageFields): Message {
  const { fields = {}, required = [] } = schemaOf(typeName);
  const message = new Map<number, Field | Message>();
  for (const [number, entry] of Object.entries(numbers) as [string, string | MessageFields][]) {
    if (typeof entry !== 'string') {
      message.set(Number(number), compile(typeName, entry));
      continue;
    }
    const name = entry.replace('?', '');
    const schema = fields[name];
    if (schema) message.set(Number(number), { name, schema, keepsZero: name !== entry || required.includes(name) });
  }
  return message;
}

function readNested(reader: BinaryReader, type: Message, into: Record<string, unknown> = {}): Record<string, unknown> {
  const length = reader.uint32();
  return readMessage(reader, reader.pos + length, type, into);
}

/** @param end where the message ends: a position of the reader */
function readMessage(
  reader: BinaryReader,
  end: number,
  type: Message,
  object: Record<string, unknown> = {},
): Record<string, unknown> {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = type.get(number);
    if (!field) {
      reader.skip(wireType);
      continue;
    }
    if (field instanceof Map) {
      readNested(reader, field, object);
      continue;
    }
    const { name, schema, keepsZero } = field as Field;
    if (schema.type === 'array') {
      object[name] ??= [];
      (object[name] as unknown[]).push(readValue(reader, schema.items ?? {}));
    } else if (schema.values) {
      object[name] ??= {};
      const entry = readNested(reader, scalars({ 1: ['key', { type: 'string' }], 2: ['value', schema.values] }));
      setOwnValue(object[name] as Record<string, unknown>, String(entry.key ?? ''), entry.value ?? '');
    } else {
      const value = readValue(reader, schema, wireType);
      if (value !== undefined && (value || keepsZero)) object[name] = value;
    }
  }
  return object;
}

function readValue(reader: BinaryReader, schema: FieldSchema, wireType = 2): unknown {
  switch (schema.ref) {
    case undefined:
      break;
    case 'meta.v1.Time':
    case 'meta.v1.MicroTime': {
      const { seconds, nanos = 0 } = readNested(reader, TIMESTAMP) as { seconds?: number; nanos?: number };
      if (seconds === undefined) return undefined;
      const whole = formatTime(seconds * 1000);
      if (schema.ref === 'meta.v1.Time') return whole;
      return whole.replace('Z', `.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`);
    }
    case 'api.resource.Quantity':
      return readNested(reader, QUANTITY).text ?? '0';
    case 'util.intstr.IntOrString': {
      const { isText, number = 0, text = '' } = readNested(reader, INT_OR_STRING);
      return isText ? text : number;
    }
    default:
      return readNested(reader, messageOf(schema.ref));
  }
  if (schema.type === 'string') {
    return schema.format === 'byte' ? Buffer.from(reader.bytes()).toString('base64') : reader.string();
  }
  if (schema.type === 'integer') return Number(reader.int64());
  if (schema.type === 'boolean') return reader.bool();
  reader.skip(wireType);
  return undefined;
}
