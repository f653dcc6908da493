import { posix } from 'node:path';
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from '../../api/generated/types.ts';
import { messageOf } from '../../lib/errors.ts';
import { type FieldContext, fieldValue } from '../container/field-ref.ts';
import { type NodeCapacity, resourceFieldValue } from '../container/resource-field-ref.ts';
import type { Payload, PayloadFile } from './atomic-writer.ts';
import { type ConfigObjects, configMapData, secretData } from './config-objects.ts';

/** Mode of files when neither the item nor the volume says one. */
const DEFAULT_MODE = 0o644;

/** What the payload of a volume is made from, besides its source. */
export interface PayloadContext {
  readonly objects: ConfigObjects;
  readonly fields: FieldContext;
  readonly capacity: NodeCapacity;
}

/** The files of a configMap, secret, downwardAPI or projected volume. @throws Error in the kubelet's words */
export async function volumePayload(pod: Pod, volume: Volume, context: PayloadContext): Promise<Payload> {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return projection(pod, { configMap }, configMap.defaultMode ?? DEFAULT_MODE, context);
  if (secret) {
    const { secretName = '', items, optional, defaultMode = DEFAULT_MODE } = secret;
    const source = { name: secretName, ...(items ? { items } : {}), ...(optional ? { optional } : {}) };
    return projection(pod, { secret: source }, defaultMode, context);
  }
  if (downwardAPI) return projection(pod, { downwardAPI }, downwardAPI.defaultMode ?? DEFAULT_MODE, context);
  return projectedPayload(pod, projected!, context);
}

/** All sources one over the other; the errors of all of them at once. */
async function projectedPayload(pod: Pod, source: ProjectedVolumeSource, context: PayloadContext): Promise<Payload> {
  const payload = new Map<string, PayloadFile>();
  const errors: string[] = [];
  for (const part of source.sources ?? []) {
    try {
      for (const entry of await projection(pod, part, source.defaultMode ?? DEFAULT_MODE, context)) {
        payload.set(...entry);
      }
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  if (errors.length > 0) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`);
  return payload;
}

async function projection(
  pod: Pod,
  source: VolumeProjection,
  mode: number,
  { objects, fields, capacity }: PayloadContext,
): Promise<Payload> {
  const namespace = pod.metadata.namespace ?? '';
  const { configMap, secret, downwardAPI } = source;
  if (configMap) {
    const optional = configMap.optional ?? false;
    const object = await objects.configMap(namespace, configMap.name ?? '', optional);
    const data = object ? configMapData(object) : new Map<string, Buffer>();
    return select(data, configMap.items, mode, optional, 'configmap references non-existent config key');
  }
  if (secret) {
    const optional = secret.optional ?? false;
    const object = await objects.secret(namespace, secret.name ?? '', optional);
    const data = object ? secretData(object) : new Map<string, Buffer>();
    return select(data, secret.items, mode, optional, 'references non-existent secret key');
  }
  if (downwardAPI) {
    const files = (downwardAPI.items ?? []).map((item): [string, PayloadFile] => [
      posix.normalize(item.path),
      { data: Buffer.from(downwardValue(pod, item, fields, capacity)), mode: item.mode ?? mode },
    ]);
    return new Map(files);
  }
  throw new Error(`${Object.keys(source)[0] ?? 'an empty source'} is not supported by this node in a projected volume`);
}

/** All keys, or the items' keys at the items' paths. */
function select(
  data: ReadonlyMap<string, Buffer>,
  items: readonly KeyToPath[] | undefined,
  mode: number,
  optional: boolean,
  missing: string,
): Payload {
  const payload = new Map<string, PayloadFile>();
  if (!items || items.length === 0) {
    for (const [key, value] of data) payload.set(key, { data: value, mode });
    return payload;
  }
  for (const item of items) {
    const value = data.get(item.key);
    if (value) payload.set(posix.normalize(item.path), { data: value, mode: item.mode ?? mode });
    else if (!optional) throw new Error(`${missing}: ${item.key}`);
  }
  return payload;
}

function downwardValue(pod: Pod, item: DownwardAPIVolumeFile, fields: FieldContext, capacity: NodeCapacity): string {
  if (item.fieldRef) return fieldValue(pod, item.fieldRef.fieldPath, fields);
  if (item.resourceFieldRef) return resourceFieldValue(pod, undefined, item.resourceFieldRef, capacity);
  return '';
}
