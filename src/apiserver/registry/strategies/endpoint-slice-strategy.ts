import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice } from '../../../api/generated/types.ts';
import type { Strategy } from '../resource-definition.ts';

/** Source: pkg/registry/discovery/endpointslice/strategy.go */
export const endpointSliceStrategy: Strategy = {
  prepareForCreate(object) {
    const slice = object as EndpointSlice;
    // A field of the older version of the API.
    for (const endpoint of slice.endpoints ?? []) delete endpoint.deprecatedTopology;
    showEmptyLists(slice);
    object.metadata.generation = 1;
  },

  prepareForUpdate(object, old) {
    showEmptyLists(object as EndpointSlice);
    if (isDeepStrictEqual(contentOf(object as EndpointSlice), contentOf(old as EndpointSlice))) return;
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
};

/** Both lists are always there, null when nothing is in them: their fields in Go have no `omitempty`. */
function showEmptyLists(slice: EndpointSlice): void {
  for (const list of ['endpoints', 'ports'] as const) if (!slice[list]?.length) Object.assign(slice, { [list]: null });
}

function contentOf({ metadata, ...rest }: EndpointSlice): object {
  return rest;
}
