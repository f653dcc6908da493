import { createHash } from 'node:crypto';
import type { Container } from '../api/generated/types.ts';

/**
 * Identifies a container's definition: a running container whose hash differs is killed and started anew. Only what a pod's
 * update may change counts (name and image, as upstream since 1.31), so that a later version of ours that defaults one field
 * more does not restart everything. Kept in the annotation `ANNOTATIONS.hash`.
 */
export function containerHash(container: Container): string {
  return createHash('sha256')
    .update(JSON.stringify([container.name, container.image ?? '']))
    .digest('hex')
    .slice(0, 8);
}
