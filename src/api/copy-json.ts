import { setOwnValue } from './own-value.ts';

/** A deep copy of a JSON value. Several times as fast as structuredClone, which reckons with everything that is no JSON. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) setOwnValue(copy, key, copyJson((value as Record<string, unknown>)[key]));
  return copy as T;
}
