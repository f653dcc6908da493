import { apiVersionOf } from '../../api/resources.ts';
import type { Page } from '../registry/registry.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import type { Version } from '../storage/mvcc.ts';

/** How a Table's rows carry their objects. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** An object as JSON. Its text is already made; only its type is put in front. */
export function objectText({ resource }: ResourceDefinition, version: Version): string {
  return `{"kind":"${resource.kind}","apiVersion":"${apiVersionOf(resource)}",${version.text.slice(1)}`;
}

/** A list as JSON, from the texts of its items. */
export function listText({ resource }: ResourceDefinition, page: Page): string {
  const head = `"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}"`;
  const items = page.items.map(({ text }) => text).join(',');
  return `{${head},"metadata":${JSON.stringify(listMeta(page))},"items":[${items}]}`;
}

function listMeta(page: Page): object {
  return {
    resourceVersion: String(page.revision),
    ...(page.continue ? { continue: page.continue } : {}),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
}

/** @param now wall time, ms since the epoch */
export function listTable(definition: ResourceDefinition, page: Page, include: IncludeObject, now: number): object {
  return table(definition, page.items, listMeta(page), include, now, true);
}

/** @param headers false in a watch after its first event */
export function objectTable(
  definition: ResourceDefinition,
  version: Version,
  include: IncludeObject,
  now: number,
  headers = true,
): object {
  const { resourceVersion } = version.object.metadata;
  return table(definition, [version], { resourceVersion }, include, now, headers);
}

function table(
  definition: ResourceDefinition,
  versions: readonly Version[],
  metadata: object,
  include: IncludeObject,
  now: number,
  headers: boolean,
): object {
  const { columns, cells, conditions } = definition.table;
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers ? columns : null,
    rows: versions.map((version) => {
      // Tables print the stored form, whatever form is shown.
      const object = definition.view ? definition.view.toStored(version.object) : version.object;
      const found = conditions?.(object);
      return {
        cells: cells(object, now),
        ...(found ? { conditions: found } : {}),
        ...(include === 'None' ? {} : { object: include === 'Object' ? version.object : partialMetadata(version) }),
      };
    }),
  };
}

export function partialMetadata({ object }: Version): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

export function partialMetadataList(page: Page): object {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta(page),
    items: page.items.map(partialMetadata),
  };
}
