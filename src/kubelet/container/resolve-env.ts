import type { Container, EnvVar, Pod } from '../../api/generated/types.ts';
import { type ConfigObjects, secretData } from '../volumes/config-objects.ts';
import { expandVariables } from './expand-variables.ts';
import { type FieldContext, fieldValue } from './field-ref.ts';
import { type NodeCapacity, resourceFieldValue } from './resource-field-ref.ts';

export interface EnvContext {
  readonly objects: ConfigObjects;
  readonly fields: FieldContext;
  readonly capacity: NodeCapacity;
  /** What leads to Services: stands before everything else, and gives way to it. */
  readonly serviceEnv: ReadonlyMap<string, string>;
}

/**
 * A container's environment in order: that of Services, `envFrom` (by name), then `env`, where a later entry of a name wins and `$(NAME)` refers to
 * what was defined before it. The image's own variables are not known here. Rules: the kubelet's makeEnvironmentVariables.
 * @throws Error in the kubelet's words when an object or a key that is not optional is missing
 */
export async function resolveEnv(
  pod: Pod,
  container: Container,
  context: EnvContext,
): Promise<ReadonlyMap<string, string>> {
  const env = new Map<string, string>(context.serviceEnv);
  const namespace = pod.metadata.namespace ?? '';
  for (const { configMapRef, secretRef, prefix = '' } of container.envFrom ?? []) {
    let data: ReadonlyMap<string, string> = new Map();
    if (configMapRef) {
      const object = await context.objects.configMap(
        namespace,
        configMapRef.name ?? '',
        configMapRef.optional ?? false,
      );
      // As upstream: binaryData is no text and so no variable.
      data = new Map(Object.entries(object?.data ?? {}));
    } else if (secretRef) {
      const object = await context.objects.secret(namespace, secretRef.name ?? '', secretRef.optional ?? false);
      data = new Map([...(object ? secretData(object) : [])].map(([key, value]) => [key, value.toString()]));
    }
    for (const key of [...data.keys()].sort()) env.set(prefix + key, data.get(key)!);
  }
  for (const variable of container.env ?? []) {
    const value = await variableValue(pod, container, variable, env, context);
    if (value !== undefined) env.set(variable.name, value);
  }
  return env;
}

/** Undefined: an optional reference to something that does not exist; the variable is then not set. */
async function variableValue(
  pod: Pod,
  container: Container,
  { value, valueFrom }: EnvVar,
  before: ReadonlyMap<string, string>,
  { objects, fields, capacity }: EnvContext,
): Promise<string | undefined> {
  if (value) return expandVariables(value, before);
  const namespace = pod.metadata.namespace ?? '';
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom ?? {};
  if (fieldRef) return fieldValue(pod, fieldRef.fieldPath, fields);
  if (resourceFieldRef) return resourceFieldValue(pod, container, resourceFieldRef, capacity);
  if (configMapKeyRef) {
    const { name = '', key, optional = false } = configMapKeyRef;
    const object = await objects.configMap(namespace, name, optional);
    return keyOf(object && new Map(Object.entries(object.data ?? {})), key, optional, `ConfigMap ${namespace}/${name}`);
  }
  if (secretKeyRef) {
    const { name = '', key, optional = false } = secretKeyRef;
    const object = await objects.secret(namespace, name, optional);
    return keyOf(object && secretData(object), key, optional, `Secret ${namespace}/${name}`)?.toString();
  }
  if (fileKeyRef) throw new Error('valueFrom.fileKeyRef is not supported by this node');
  return '';
}

function keyOf<T>(
  data: ReadonlyMap<string, T> | undefined,
  key: string,
  optional: boolean,
  where: string,
): T | undefined {
  const value = data?.get(key);
  if (value === undefined && !optional) throw new Error(`couldn't find key ${key} in ${where}`);
  return value;
}
