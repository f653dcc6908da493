import type { KubeObject, Resource } from '../../api/resources.ts';
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from '../../api/selectors.ts';
import type { Version } from '../storage/mvcc.ts';
import type { ReadOptions } from './list-options.ts';

/** Which objects of a resource a reader wants. */
export interface Selection {
  /** `NAMESPACE/`, or '' for all. */
  readonly prefix: string;
  /** The one key that can match, when the selector names an object. */
  readonly key: string | undefined;
  /** Whether selectors narrow it, beyond the namespace. */
  readonly narrowed: boolean;
  matches(version: Version): boolean;
}

/** @throws ApiStatusError 400 for a selector that cannot be parsed */
export function select(resource: Resource, options: ReadOptions): Selection {
  const labels = options.labelSelector ? parseLabelSelector(options.labelSelector) : [];
  const fields = options.fieldSelector ? parseFieldSelector(resource, options.fieldSelector) : [];
  const name = fields.find((f) => f.field === 'metadata.name' && f.operator === '=')?.value;
  const prefix = resource.namespaced && options.namespace ? `${options.namespace}/` : '';
  const narrowed = labels.length > 0 || fields.length > 0;
  return {
    prefix,
    key: name !== undefined && (prefix !== '' || !resource.namespaced) ? prefix + name : undefined,
    narrowed,
    matches(version) {
      if (!version.key.startsWith(prefix)) return false;
      return !narrowed || matchesObject(version.object);
    },
  };

  function matchesObject(object: KubeObject): boolean {
    return (
      (fields.length === 0 || matchesFields(fields, object)) &&
      (labels.length === 0 || matchesLabels(labels, object.metadata.labels))
    );
  }
}
