import { createHash } from 'node:crypto';
import type { Container } from '../../api/generated/types.ts';

/**
 * A hash of the part of a container's definition that can change while the pod lives (as upstream's HashContainer: name and
 * image). A container whose hash differs from its spec's is killed and started anew, so nothing that only we default may go in.
 */
export function containerHash(container: Container): string {
  const text = JSON.stringify({ image: container.image ?? '', name: container.name });
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
