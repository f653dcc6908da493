import type { Node } from '../../../api/generated/types.ts';
import type { Strategy } from '../resource-definition.ts';

/** A node registers itself with its status; later the status has its own subresource. Source: pkg/registry/core/node/strategy.go */
export const nodeStrategy: Strategy = {
  prepareForCreate(object) {
    const node = object as Node;
    node.spec ??= {};
    node.status ??= {};
  },

  prepareForUpdate(object, old) {
    const status = (old as Node).status;
    if (status) (object as Node).status = status;
  },
};
