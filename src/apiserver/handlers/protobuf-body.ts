import type { BinaryReader } from '@bufbuild/protobuf/wire';
import { formatTime } from '../../api/time.ts';

type Type = Scalar | Message | { readonly map: 'string' | 'bytes' };
/** Of 'number' and 'flag', 0 and false say that nothing was given. */
type Scalar = 'string' | 'int64' | 'number' | 'bool' | 'flag' | 'bytes' | 'time' | 'intOrString';
/** Fields by number: name, type, and whether it is a list. */
type Message = ReadonlyMap<number, readonly [name: string, type: Type, repeated?: 'repeated']>;

const message = (fields: Record<number, [string, Type, 'repeated'?]>): Message =>
  new Map(Object.entries(fields).map(([number, field]) => [Number(number), field]));

const OWNER_REFERENCE = message({
  1: ['kind', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['controller', 'bool'],
  7: ['blockOwnerDeletion', 'bool'],
});
const OBJECT_META = message({
  1: ['name', 'string'],
  2: ['generateName', 'string'],
  3: ['namespace', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  8: ['creationTimestamp', 'time'],
  9: ['deletionTimestamp', 'time'],
  11: ['labels', { map: 'string' }],
  12: ['annotations', { map: 'string' }],
  13: ['ownerReferences', OWNER_REFERENCE, 'repeated'],
  14: ['finalizers', 'string', 'repeated'],
});
const OBJECT_REFERENCE = message({
  1: ['kind', 'string'],
  2: ['namespace', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['resourceVersion', 'string'],
  7: ['fieldPath', 'string'],
});
const DELETE_OPTIONS = message({
  1: ['gracePeriodSeconds', 'int64'],
  2: ['preconditions', message({ 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] })],
  3: ['orphanDependents', 'bool'],
  4: ['propagationPolicy', 'string'],
  5: ['dryRun', 'string', 'repeated'],
});
const SERVICE_PORT = message({
  1: ['name', 'string'],
  2: ['protocol', 'string'],
  3: ['port', 'number'],
  4: ['targetPort', 'intOrString'],
  5: ['nodePort', 'number'],
  6: ['appProtocol', 'string'],
});
const SERVICE_SPEC = message({
  1: ['ports', SERVICE_PORT, 'repeated'],
  2: ['selector', { map: 'string' }],
  3: ['clusterIP', 'string'],
  4: ['type', 'string'],
  5: ['externalIPs', 'string', 'repeated'],
  7: ['sessionAffinity', 'string'],
  8: ['loadBalancerIP', 'string'],
  9: ['loadBalancerSourceRanges', 'string', 'repeated'],
  10: ['externalName', 'string'],
  11: ['externalTrafficPolicy', 'string'],
  12: ['healthCheckNodePort', 'number'],
  13: ['publishNotReadyAddresses', 'flag'],
  14: ['sessionAffinityConfig', message({ 1: ['clientIP', message({ 1: ['timeoutSeconds', 'int64'] })] })],
  17: ['ipFamilyPolicy', 'string'],
  18: ['clusterIPs', 'string', 'repeated'],
  19: ['ipFamilies', 'string', 'repeated'],
  20: ['allocateLoadBalancerNodePorts', 'bool'],
  21: ['loadBalancerClass', 'string'],
  22: ['internalTrafficPolicy', 'string'],
  23: ['trafficDistribution', 'string'],
});
const withMeta = (fields: Record<number, [string, Type, 'repeated'?]>): Message =>
  message({ 1: ['metadata', OBJECT_META], ...fields });

/** The kinds that kubectl sends in this form. Field numbers: generated.proto of k8s.io/api and k8s.io/apimachinery */
const KINDS: Readonly<Record<string, Message>> = {
  Namespace: withMeta({ 2: ['spec', message({ 1: ['finalizers', 'string', 'repeated'] })] }),
  ConfigMap: withMeta({
    2: ['data', { map: 'string' }],
    3: ['binaryData', { map: 'bytes' }],
    4: ['immutable', 'bool'],
  }),
  Secret: withMeta({
    2: ['data', { map: 'bytes' }],
    3: ['type', 'string'],
    4: ['stringData', { map: 'string' }],
    5: ['immutable', 'bool'],
  }),
  ServiceAccount: withMeta({
    2: ['secrets', OBJECT_REFERENCE, 'repeated'],
    3: ['imagePullSecrets', message({ 1: ['name', 'string'] }), 'repeated'],
    4: ['automountServiceAccountToken', 'bool'],
  }),
  Service: withMeta({ 2: ['spec', SERVICE_SPEC] }),
  Binding: withMeta({ 2: ['target', OBJECT_REFERENCE] }),
  Eviction: withMeta({ 2: ['deleteOptions', DELETE_OPTIONS] }),
  DeleteOptions: DELETE_OPTIONS,
  SelfSubjectReview: withMeta({}),
  SelfSubjectAccessReview: withMeta({
    2: [
      'spec',
      message({
        1: [
          'resourceAttributes',
          message({
            1: ['namespace', 'string'],
            2: ['verb', 'string'],
            3: ['group', 'string'],
            4: ['version', 'string'],
            5: ['resource', 'string'],
            6: ['subresource', 'string'],
            7: ['name', 'string'],
          }),
        ],
        2: ['nonResourceAttributes', message({ 1: ['path', 'string'], 2: ['verb', 'string'] })],
      }),
    ],
  }),
};

/** `k8s` and a zero: what every body in this form begins with. */
const MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
const ENVELOPE = message({
  1: ['type', message({ 1: ['apiVersion', 'string'], 2: ['kind', 'string'] })],
  2: ['raw', 'bytes'],
});

/**
 * A body in Kubernetes' protobuf form as the object that its JSON form would be: kubectl from 1.32 on sends what it creates
 * itself (namespaces, config maps, secrets, service accounts, Services) in no other. Undefined for a kind that is not among them.
 * @throws when the bytes are no such message
 */
export async function decodeProtobuf(body: Buffer): Promise<object | undefined> {
  const { BinaryReader } = await import('@bufbuild/protobuf/wire');
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('the body does not begin with "k8s\\0"');
  const read = (bytes: Uint8Array, type: Message): Record<string, unknown> =>
    readMessage(new BinaryReader(bytes), bytes.length, type);
  const { type, raw } = read(body.subarray(MAGIC.length), ENVELOPE) as {
    type?: { apiVersion?: string; kind?: string };
    raw?: string;
  };
  const kind = type?.kind ?? '';
  if (!Object.hasOwn(KINDS, kind)) return undefined;
  return { kind, apiVersion: type?.apiVersion, ...read(Buffer.from(raw ?? '', 'base64'), KINDS[kind]!) };
}

function readMessage(reader: BinaryReader, end: number, type: Message): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = type.get(number);
    if (!field) {
      reader.skip(wireType);
      continue;
    }
    const [name, fieldType, repeated] = field;
    const value = readValue(reader, fieldType);
    // Go writes texts that are not set, and JSON leaves them out.
    if (value === undefined || (value === '' && !repeated)) continue;
    if (repeated) object[name] = [...((object[name] as unknown[]) ?? []), value];
    else if (typeof fieldType === 'object' && 'map' in fieldType) {
      object[name] = { ...(object[name] as object), ...(value as object) };
    } else object[name] = value;
  }
  return object;
}

function readValue(reader: BinaryReader, type: Type): unknown {
  switch (type) {
    case 'string':
      return reader.string();
    case 'int64':
      return Number(reader.int64());
    case 'number':
      return Number(reader.int64()) || undefined;
    case 'bool':
      return reader.bool();
    case 'flag':
      return reader.bool() || undefined;
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    default: {
      const length = reader.uint32();
      const end = reader.pos + length;
      if (type === 'time') {
        const { seconds } = readMessage(reader, end, TIMESTAMP);
        return seconds === undefined ? undefined : formatTime(Number(seconds) * 1000);
      }
      if (type === 'intOrString') {
        const { isText, number = 0, text = '' } = readMessage(reader, end, INT_OR_STRING);
        return isText ? text : number;
      }
      if (type instanceof Map) return readMessage(reader, end, type);
      const entry = readMessage(
        reader,
        end,
        message({ 1: ['key', 'string'], 2: ['value', (type as { map: 'string' }).map] }),
      );
      return { [String(entry.key ?? '')]: entry.value ?? '' };
    }
  }
}

const TIMESTAMP = message({ 1: ['seconds', 'int64'] });
const INT_OR_STRING = message({ 1: ['isText', 'flag'], 2: ['number', 'int64'], 3: ['text', 'string'] });
