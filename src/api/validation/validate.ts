import type { KubeObject, Resource } from '../resources.ts';
import {
  validateConfigMap,
  validateEndpointSlice,
  validateEndpointSliceChange,
  validateEndpoints,
  validateImmutableData,
  validateLease,
  validateNamespace,
  validateNode,
  validateNodeChange,
  validateSecret,
  validateSecretChange,
  validateServiceAccount,
} from './core.ts';
import { validateEvent, validateEventV1, validateEventV1Change } from './event.ts';
import type { FieldError } from './field-error.ts';
import { nameIsSubdomain, validateObjectMeta, validateObjectMetaUpdate } from './object-meta.ts';
import { validatePod } from './pod.ts';
import { validatePodChange } from './pod-update.ts';
import { validateService, validateServiceChange } from './service.ts';

interface Rules {
  /** What holds for every object; on creation, and on update unless `update` says otherwise. */
  readonly object: (object: never, errors: FieldError[], old?: never) => void;
  /** What may not change, judged before the object itself. */
  readonly change?: (object: never, old: never, errors: FieldError[]) => void;
  /** Takes the place of `object` on update. */
  readonly update?: (object: never, old: never, errors: FieldError[]) => void;
}

const RULES: Readonly<Record<string, Rules>> = {
  Pod: { object: validatePod, update: validatePodChange },
  ConfigMap: {
    object: validateConfigMap,
    change: (object, old, errors) => validateImmutableData(object, old, ['data', 'binaryData'], errors),
  },
  Secret: { object: validateSecret, change: validateSecretChange },
  Namespace: { object: validateNamespace },
  ServiceAccount: { object: validateServiceAccount },
  Node: { object: validateNode, change: validateNodeChange },
  Event: { object: validateEvent },
  'Event.events.k8s.io': { object: validateEventV1, update: validateEventV1Change },
  Service: { object: validateService, change: validateServiceChange },
  Endpoints: { object: validateEndpoints },
  'Lease.coordination.k8s.io': { object: validateLease },
  'EndpointSlice.discovery.k8s.io': { object: validateEndpointSlice, update: validateEndpointSliceChange },
};

function rulesOf(resource: Resource): Rules | undefined {
  return RULES[resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`];
}

/**
 * Everything that is wrong with an object that is to be created, in the API server's order and words; empty when nothing is.
 * The object is decoded and defaulted, its namespace is set. Of a resource without rules here only the metadata is judged.
 */
export function validate(resource: Resource, object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const rules = rulesOf(resource);
  if (rules) rules.object(object as never, errors);
  else validateObjectMeta(object.metadata, resource.namespaced, nameIsSubdomain, 'metadata', errors);
  return errors;
}

/**
 * Everything that is wrong with an update: changes that are not allowed, and what `validate` finds. The new object has the old
 * one's immutable metadata filled in where the client left it out (uid, creationTimestamp, resourceVersion, deletion).
 */
export function validateUpdate(resource: Resource, object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateStatusUpdate(object, old);
  const rules = rulesOf(resource);
  rules?.change?.(object as never, old as never, errors);
  if (rules?.update) rules.update(object as never, old as never, errors);
  else rules?.object(object as never, errors, old as never);
  return errors;
}

/** What is wrong with the metadata that come with a new status. It is not judged itself. */
export function validateStatusUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  // Twice, as upstream: once for all resources, once in each one's own rules.
  validateObjectMetaUpdate(object.metadata, old.metadata, 'metadata', errors);
  validateObjectMetaUpdate(object.metadata, old.metadata, 'metadata', errors);
  return errors;
}
