import type { KubeObject, Resource } from './resources.ts';

/** Fills in what the API server fills in on decoding. Changes `object` and returns it. Doing it twice changes nothing. */
export function applyDefaults<T extends KubeObject>(_resource: Resource<T>, object: T): T {
  return object;
}
