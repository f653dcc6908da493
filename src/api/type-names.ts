import { SCHEMA } from './generated/schema.ts';
import type { TypeSchema } from './schema-table.ts';

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The name under which the schema table has this kind, such as `core.v1.Pod`; undefined for a kind that it lacks. */
export function typeNameOf({ group, version, kind }: GroupVersionKind): string | undefined {
  const name = `${internalGroup(group)}.${version}.${kind}`;
  return Object.hasOwn(SCHEMA, name) ? name : undefined;
}

/** The group as Go packages name it: `core`, `apps`, `coordination`. */
export function internalGroup(group: string): string {
  return group === '' ? 'core' : group.split('.')[0]!;
}

/** The schema of a type by its name in the table. @throws when the table lacks it: a bug */
export function schemaOf(typeName: string): TypeSchema {
  const schema = SCHEMA[typeName];
  if (!schema) throw new Error(`no schema for type ${typeName}`);
  return schema;
}

/** `v1` / `apps/v1` taken apart. */
export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}
