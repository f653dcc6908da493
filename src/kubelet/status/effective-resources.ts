import type { Container, Pod, Quantity, ResourceRequirements } from '../../api/generated/types.ts';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
} from '../../api/quantity.ts';
import { isSidecar } from '../sync/restart-policy.ts';

type ResourceList = Record<string, string>;

/**
 * What the pod as a whole asks for: per resource the greater of all app containers with the sidecars, and of each plain init
 * container with the sidecars before it; pod-level resources override; the overhead comes on top.
 * Source: component-helpers `resource/helpers.go`.
 */
export function effectiveResources(pod: Pod): ResourceRequirements {
  const requests = effective(pod, 'requests');
  const limits = effective(pod, 'limits');
  return {
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
    ...(Object.keys(requests).length > 0 ? { requests } : {}),
  };
}

function effective(pod: Pod, kind: 'requests' | 'limits'): ResourceList {
  const { containers, initContainers = [], resources, overhead } = pod.spec;
  const total = sum(containers.map((c) => listOf(c, kind)));
  let sidecars: ResourceList = {};
  const peaks: ResourceList[] = [];
  for (const c of initContainers) {
    if (isSidecar(c)) sidecars = sum([sidecars, listOf(c, kind)]);
    else peaks.push(sum([sidecars, listOf(c, kind)]));
  }
  const result = sum([total, sidecars]);
  for (const peak of peaks) {
    for (const [name, value] of Object.entries(peak)) {
      const old = result[name];
      if (old === undefined || compareQuantities(value, old) > 0) result[name] = value;
    }
  }
  Object.assign(result, sum([toList(resources?.[kind])]));
  if (!overhead) return result;
  // An overhead adds to a limit that is there; it does not make one.
  const added = sum([result, toList(overhead)]);
  if (kind === 'requests') return added;
  return Object.fromEntries(Object.keys(result).map((name) => [name, added[name]!]));
}

function listOf(container: Container, kind: 'requests' | 'limits'): ResourceList {
  return toList(container.resources?.[kind]);
}

function toList(quantities: Record<string, Quantity> | undefined): ResourceList {
  return Object.fromEntries(Object.entries(quantities ?? {}).map(([name, value]) => [name, String(value)]));
}

function sum(lists: readonly ResourceList[]): ResourceList {
  const result: ResourceList = {};
  for (const list of lists) {
    for (const [name, value] of Object.entries(list)) {
      const old = result[name];
      result[name] =
        old === undefined
          ? canonicalQuantity(value)
          : formatQuantity(addQuantities(parseQuantity(old), parseQuantity(value)));
    }
  }
  return result;
}
