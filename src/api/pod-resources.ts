import type { Container, Pod, PodSpec } from './generated/types.ts';
import { addQuantities, parseQuantity, type Quantity } from './quantity.ts';

/** Quantities by resource name. Without prototype: the names are a user's. */
export type ResourceTotals = Record<string, Quantity>;

/** An init container that keeps running beside the app containers. */
export function isSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always';
}

/** The grace period of a pod's termination in seconds: the one that deletion set, else the spec's, else 30. */
export function effectiveGracePeriod(pod: Pod): number {
  return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}

/**
 * What a pod's containers need together: for each resource the sum of app containers and sidecars, or, if that is more, what the
 * most demanding init container needs beside the sidecars started before it.
 */
export function aggregateContainerResources(spec: PodSpec, which: 'requests' | 'limits'): ResourceTotals {
  const totals = none();
  for (const container of spec.containers ?? []) add(totals, listOf(container, which));
  const sidecars = none();
  const peak = none();
  for (const container of spec.initContainers ?? []) {
    const needs = listOf(container, which);
    if (isSidecar(container)) {
      add(totals, needs);
      add(sidecars, needs);
      raise(peak, sidecars);
    } else {
      const beside = none();
      add(beside, sidecars);
      add(beside, needs);
      raise(peak, beside);
    }
  }
  raise(totals, peak);
  return totals;
}

/**
 * What a pod as a whole needs: its containers, replaced for each resource by what `spec.resources` says, plus overhead.
 * An overhead adds to limits only where there is a limit.
 */
export function podResources(pod: Pod, which: 'requests' | 'limits'): ResourceTotals {
  const { spec } = pod;
  const totals = aggregateContainerResources(spec, which);
  for (const [name, text] of Object.entries(spec.resources?.[which] ?? {})) totals[name] = parseQuantity(String(text));
  for (const [name, text] of Object.entries(spec.overhead ?? {})) {
    if (which === 'limits' && !totals[name]) continue;
    add(totals, { [name]: parseQuantity(String(text)) });
  }
  return totals;
}

const none = (): ResourceTotals => Object.create(null) as ResourceTotals;

function listOf(container: Container, which: 'requests' | 'limits'): ResourceTotals {
  const list = none();
  for (const [name, text] of Object.entries(container.resources?.[which] ?? {}))
    list[name] = parseQuantity(String(text));
  return list;
}

function add(totals: ResourceTotals, more: ResourceTotals): void {
  for (const [name, quantity] of Object.entries(more)) {
    const have = totals[name];
    totals[name] = have ? addQuantities(have, quantity) : quantity;
  }
}

function raise(totals: ResourceTotals, floor: ResourceTotals): void {
  for (const [name, quantity] of Object.entries(floor)) {
    const have = totals[name];
    if (!have || have.nanos < quantity.nanos) totals[name] = quantity;
  }
}
