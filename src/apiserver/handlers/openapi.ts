import { createHash } from 'node:crypto';
import { SCHEMA } from '../../api/generated/schema.ts';
import { KUBERNETES_VERSION } from '../../api/kubernetes-version.ts';
import { apiVersionOf, pathOf } from '../../api/resources.ts';
import type { FieldSchema, TypeSchema } from '../../api/schema-table.ts';
import { noSuchResource } from '../registry/api-errors.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { RESOURCE_TABLE } from '../registry/resource-table.ts';
import type { Exchange } from './exchange.ts';
import { encodeOpenApiV2 } from './openapi-protobuf.ts';

const JSON_TYPE = 'application/json';
const PROTOBUF_TYPE = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
const INFO = { title: 'Kubernetes', version: KUBERNETES_VERSION.gitVersion };

/** Texts by path, made when first asked for: kubectl keeps its own copy, so few ask. */
let documents: ReadonlyMap<string, string> | undefined;

/**
 * The published schemas, from the table that everything here is made of. As much of OpenAPI as kubectl uses: types with their patch
 * and list keys, and which requests know `fieldValidation`.
 */
export function serveOpenApi(exchange: Exchange, path: string): void {
  if (path === '/openapi/v2' && exchange.header('accept')?.includes(PROTOBUF_TYPE)) {
    // Go's media types know no @, so the answer's has a dot there.
    exchange.sendBytes(200, encodeOpenApiV2(INFO, RESOURCE_TABLE.map(patchRequest)), PROTOBUF_TYPE.replace('@', '.'));
    return;
  }
  documents ??= makeDocuments();
  const text = documents.get(path);
  if (text === undefined) throw noSuchResource();
  exchange.sendText(200, text, JSON_TYPE);
}

function makeDocuments(): ReadonlyMap<string, string> {
  const made = new Map<string, string>();
  const index: Record<string, { serverRelativeURL: string }> = {};
  for (const [groupVersion, definitions] of byGroupVersion()) {
    const path = `/openapi/v3/${groupVersion}`;
    const text = JSON.stringify({
      openapi: '3.0.0',
      info: INFO,
      paths: Object.fromEntries(definitions.map(objectPath)),
      components: { schemas: schemasFor(definitions, '#/components/schemas/') },
    });
    const hash = createHash('sha256').update(text).digest('hex').toUpperCase();
    index[groupVersion] = { serverRelativeURL: `${path}?hash=${hash}` };
    made.set(path, text);
  }
  made.set('/openapi/v3', JSON.stringify({ paths: index }));
  const swagger = { swagger: '2.0', info: INFO, paths: {}, definitions: schemasFor(RESOURCE_TABLE, '#/definitions/') };
  made.set('/openapi/v2', JSON.stringify(swagger));
  return made;
}

/** `api/v1` and `apis/GROUP/VERSION` with their resources. */
function byGroupVersion(): Map<string, ResourceDefinition[]> {
  const groups = new Map<string, ResourceDefinition[]>();
  for (const definition of RESOURCE_TABLE) {
    const { group } = definition.resource;
    const key = `${group === '' ? 'api' : 'apis'}/${apiVersionOf(definition.resource)}`;
    groups.set(key, [...(groups.get(key) ?? []), definition]);
  }
  return groups;
}

/** The request that kubectl looks at to learn what the server can do. */
function patchRequest({ resource }: ResourceDefinition) {
  const { group, version, kind } = resource;
  return {
    path: pathOf(resource, 'NAMESPACE', 'NAME').replace('NAMESPACE', '{namespace}').replace('NAME', '{name}'),
    gvk: { group, version, kind },
    parameters: ['dryRun', 'fieldManager', 'fieldValidation'],
  };
}

/** The path of one object. */
function objectPath(definition: ResourceDefinition): [string, object] {
  const { path, gvk, parameters } = patchRequest(definition);
  const patch = {
    operationId: `patch${gvk.group}${gvk.version}${gvk.kind}`.replaceAll('.', ''),
    parameters: parameters.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })),
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': gvk,
  };
  return [path, { patch }];
}

/** The types of these resources and all that they refer to. */
function schemasFor(definitions: readonly ResourceDefinition[], base: string): Record<string, object> {
  const found: Record<string, object> = {};
  const add = (name: string): void => {
    const full = fullName(name);
    if (full in found) return;
    const type = SCHEMA[name];
    if (!type) return;
    found[full] = {};
    found[full] = typeSchema(type, (ref) => {
      add(ref);
      return { $ref: base + fullName(ref) };
    });
  };
  for (const { resource } of definitions) {
    for (const [name, type] of Object.entries(SCHEMA)) {
      const { group, version, kind } = type.kind ?? {};
      if (kind === resource.kind && group === resource.group && version === resource.version) add(name);
    }
  }
  add('meta.v1.DeleteOptions');
  return found;
}

type Refer = (name: string) => { readonly $ref: string };

function typeSchema(type: TypeSchema, refer: Refer): object {
  if (!type.fields) return fieldSchema(type, refer);
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(type.fields).map(([name, f]) => [name, fieldSchema(f, refer)])),
    ...(type.required ? { required: type.required } : {}),
    ...(type.mapType ? { 'x-kubernetes-map-type': type.mapType } : {}),
    ...(type.kind ? { 'x-kubernetes-group-version-kind': [type.kind] } : {}),
  };
}

function fieldSchema(field: FieldSchema, refer: Refer): object {
  const extensions = {
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(field.enum ? { enum: field.enum } : {}),
    ...(field.items ? { items: fieldSchema(field.items, refer) } : {}),
    ...(field.values ? { additionalProperties: fieldSchema(field.values, refer) } : {}),
    ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy } : {}),
    ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
    ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
    ...(field.listMapKeys ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
    ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
  };
  if (field.ref) {
    const ref = refer(field.ref);
    // A reference may have no neighbours in OpenAPI 3.0.
    return Object.keys(extensions).length === 0 ? ref : { allOf: [ref], ...extensions };
  }
  if (field.type === 'quantity' || field.type === 'int-or-string') {
    const other = field.type === 'quantity' ? 'number' : 'integer';
    return { oneOf: [{ type: 'string' }, { type: other }], ...extensions };
  }
  return {
    ...(field.type ? { type: field.type } : {}),
    ...(field.format ? { format: field.format } : {}),
    ...extensions,
  };
}

/** The published name of a type: `core.v1.Pod` is `io.k8s.api.core.v1.Pod`. */
function fullName(name: string): string {
  if (name.startsWith('meta.')) return `io.k8s.apimachinery.pkg.apis.${name}`;
  if (name.startsWith('pkg.')) return `io.k8s.apimachinery.${name}`;
  if (name.startsWith('api.') || name.startsWith('util.')) return `io.k8s.apimachinery.pkg.${name}`;
  return `io.k8s.api.${name}`;
}
