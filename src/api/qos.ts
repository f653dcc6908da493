import type { Container, Pod, ResourceRequirements } from './generated/types.ts';
import { parseQuantity } from './quantity.ts';

export type QOSClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const CLASSIFYING = ['cpu', 'memory'] as const;

/**
 * The pod's quality-of-service class. A class that its status states wins: it never changes.
 * Rule: `pkg/apis/core/v1/helper/qos`.
 */
export function qosClassOf(pod: Pod): QOSClass {
  return (pod.status?.qosClass as QOSClass | undefined) ?? computeQOSClass(pod);
}

/** The class that follows from the resources of the pod, or, when it states none, of all its containers. */
export function computeQOSClass(pod: Pod): QOSClass {
  const { spec } = pod;
  const holders: readonly { readonly resources?: ResourceRequirements }[] = spec.resources
    ? [spec]
    : [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  let any = false;
  let allLimited = true;
  let equal = true;
  for (const { resources } of holders as readonly Pick<Container, 'resources'>[]) {
    for (const name of CLASSIFYING) {
      const request = nanosOf(resources?.requests?.[name]);
      const limit = nanosOf(resources?.limits?.[name]);
      if (request > 0n || limit > 0n) any = true;
      if (limit <= 0n) allLimited = false;
      if (request !== limit) equal = false;
    }
  }
  if (!any) return 'BestEffort';
  return allLimited && equal ? 'Guaranteed' : 'Burstable';
}

function nanosOf(quantity: unknown): bigint {
  return quantity === undefined ? 0n : parseQuantity(String(quantity)).nanos;
}
