import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice } from '../../../api/generated/types.ts';
import type { Strategy } from '../resource-definition.ts';

/** Source: pkg/registry/discovery/endpointslice/strategy.go */
export const endpointSliceStrategy: Strategy = {
  prepareForCreate(object) {
    object.metadata.generation = 1;
  },

  prepareForUpdate(object, old) {
    if (isDeepStrictEqual(contentOf(object as EndpointSlice), contentOf(old as EndpointSlice))) return;
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
};

function contentOf({ metadata, ...rest }: EndpointSlice): object {
  return rest;
}
