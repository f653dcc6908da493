import type { Container, Pod, Quantity, ResourceFieldSelector } from '../../api/generated/types.ts';
import { quantityMillis, quantityValue } from '../../api/quantity.ts';

/** What the node has: stands in for limits that a container does not set, or sets to 0. */
export interface NodeCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
}

/**
 * The value of a `resourceFieldRef`, rounded up to whole divisors (`pkg/api/v1/resource/helpers.go`).
 * @param own the container it is about unless the reference names another
 * @throws Error when the container or the resource is unknown
 */
export function resourceFieldValue(
  pod: Pod,
  own: Container | undefined,
  selector: ResourceFieldSelector,
  capacity: NodeCapacity,
): string {
  const name = selector.containerName ?? '';
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const container = name === '' ? own : all.find((c) => c.name === name);
  if (!container) throw new Error(`container ${name} not found`);

  const [kind, ...rest] = selector.resource.split('.');
  const resource = rest.join('.');
  if ((kind !== 'limits' && kind !== 'requests') || resource === '') {
    throw new Error(`unsupported container resource : ${selector.resource}`);
  }
  const given = container.resources?.[kind]?.[resource];
  const set = given === undefined || isZero(given) ? undefined : given;
  const divisor = selector.divisor === undefined || isZero(selector.divisor) ? '1' : String(selector.divisor);
  if (resource === 'cpu') {
    const missing = kind === 'limits' ? capacity.cpuMillis : 0;
    const millis = set === undefined ? missing : quantityMillis(String(set));
    return String(Math.ceil(millis / quantityMillis(divisor)));
  }
  const has = { memory: capacity.memoryBytes, 'ephemeral-storage': capacity.ephemeralStorageBytes }[resource] ?? 0;
  const missing = kind === 'limits' ? has : 0;
  const value = set === undefined ? missing : quantityValue(String(set));
  return String(Math.ceil(value / quantityValue(divisor)));
}

function isZero(quantity: Quantity): boolean {
  return quantityMillis(String(quantity)) === 0;
}
