import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeObject } from './decode.ts';
import { applyDefaults } from './defaults.ts';
import { SCHEMA } from './generated/schema.ts';
import type { Pod } from './generated/types.ts';
import type { KubeObject, Resource } from './resources.ts';
import * as resources from './resources.ts';
import type { FieldSchema } from './schema-table.ts';
import { typeNameOf } from './type-names.ts';
import { unsupportedPodFields } from './unsupported.ts';
import { fieldErrorBody } from './validation/field-error.ts';
import { validate, validateUpdate } from './validation/validate.ts';

const WORDS = fc.constantFrom(
  '',
  'a',
  'A_B',
  'a/b',
  'x.y',
  '..',
  '/tmp',
  'None',
  'Always',
  'constructor',
  'Exists',
  'TCP',
  '1.2.3.4',
  'é',
);

/** Any value of a type of the table, with any of its fields missing. */
function anyOf(schema: FieldSchema, depth: number): fc.Arbitrary<unknown> {
  if (schema.ref) return anyType(schema.ref, depth);
  switch (schema.type) {
    case 'string':
      if (schema.format === 'byte') return fc.constantFrom('', 'YQ==');
      return schema.enum ? fc.oneof(fc.constantFrom(...schema.enum), WORDS) : WORDS;
    case 'integer':
      return fc.constantFrom(0, 1, -1, 80, 70000, 2 ** 31 - 1);
    case 'number':
      return fc.constantFrom(0, 1.5);
    case 'boolean':
      return fc.boolean();
    case 'quantity':
      return fc.constantFrom('0', '1', '-1', '500m', '64Mi', 2);
    case 'int-or-string':
      return fc.oneof(fc.constantFrom(0, 80, -1), WORDS);
    case 'array':
      return fc.array(anyOf(schema.items ?? {}, depth), { maxLength: 2 });
    case 'object':
      return schema.values
        ? fc.dictionary(
            fc.constantFrom('cpu', 'a', 'a b', '__proto__', 'constructor', 'x.y/z'),
            anyOf(schema.values, depth),
            {
              maxKeys: 2,
            },
          )
        : fc.constant({});
    default:
      return fc.constant({});
  }
}

function anyType(typeName: string, depth: number): fc.Arbitrary<unknown> {
  const { fields, ...scalar } = SCHEMA[typeName]!;
  if (!fields) return scalar.format === 'date-time' ? fc.constant('2026-01-01T00:00:00Z') : anyOf(scalar, depth);
  if (depth <= 0) return fc.constant({});
  const members = Object.entries(fields)
    .filter(([name]) => name !== 'kind' && name !== 'apiVersion')
    .map(([name, schema]) => [name, anyOf(schema, depth - 1)] as const);
  return fc.record(Object.fromEntries(members), { requiredKeys: [] });
}

const judged = Object.values(resources).filter(
  (value): value is Resource => typeof value === 'object' && 'plural' in value,
);

describe('any object that can be decoded can be defaulted and judged', () => {
  test.each(judged.map((resource) => [resource.kind, resource] as const))('%s', (_kind, resource) => {
    const any = anyType(typeNameOf(resource)!, 6);
    fc.assert(
      fc.property(any, any, (value, other) => {
        const object = applyDefaults(resource, decodeObject<KubeObject>(resource, value).object);
        const old = applyDefaults(resource, decodeObject<KubeObject>(resource, other).object);
        const once = structuredClone(object);
        expect(applyDefaults(resource, object)).toEqual(once);
        // What is decoded and defaulted once stays as it is when it is read back.
        expect(decodeObject(resource, once, { fieldValidation: 'Strict' }).warnings).toEqual([]);
        for (const error of [...validate(resource, object), ...validateUpdate(resource, object, old)]) {
          expect(error.field).not.toContain('undefined');
          expect(fieldErrorBody(error)).not.toContain('undefined');
        }
        if (resource.kind === 'Pod') unsupportedPodFields(object as Pod);
      }),
      { numRuns: resource.kind === 'Pod' ? 100 : 50 },
    );
  });
});
