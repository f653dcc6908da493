import type { Container, Pod } from '../api/generated/types.ts';
import type { KubeObject } from '../api/resources.ts';
import { type Action, isPod } from './scenario.ts';
import type { SimCase } from './sim-case.ts';

/**
 * The smallest case that still fails, found by leaving out one thing after the other until nothing more can be left out.
 * @param fails whether a case still shows what is looked for
 * @param tries how many cases are tried at most
 */
export async function shrink(
  simCase: SimCase,
  fails: (smaller: SimCase) => Promise<boolean>,
  tries = 400,
): Promise<SimCase> {
  let best = simCase;
  let left = tries;
  for (let progress = true; progress && left > 0; ) {
    progress = false;
    for (const smaller of smallerCases(best)) {
      if (left-- <= 0) break;
      if (!(await fails(smaller))) continue;
      best = smaller;
      progress = true;
      break;
    }
  }
  return best;
}

/** Cases with one thing less, the biggest things first. */
function* smallerCases(simCase: SimCase): Generator<SimCase> {
  const { objects, scenario } = simCase;
  const { actions = [], containers = {} } = scenario;
  for (const i of objects.keys()) yield { ...simCase, objects: without(objects, i) };
  for (const i of actions.keys()) yield { ...simCase, scenario: { ...scenario, actions: without(actions, i) } };
  for (const i of objects.keys()) {
    for (const object of smallerObjects(objects[i]!)) yield { ...simCase, objects: objects.with(i, object) };
  }
  for (const [i, action] of actions.entries()) {
    if (action.do !== 'create') continue;
    for (const object of smallerObjects(action.object)) {
      const smaller: Action = { ...action, object };
      yield { ...simCase, scenario: { ...scenario, actions: actions.with(i, smaller) } };
    }
  }
  if (simCase.maxApiLatencyMs !== undefined) {
    const { maxApiLatencyMs: _, ...rest } = simCase;
    yield rest;
  }
  if (scenario.images) {
    const { images: _, ...rest } = scenario;
    yield { ...simCase, scenario: rest };
  }
  for (const [name, scripts] of Object.entries(containers)) {
    const { [name]: _, ...others } = containers;
    yield { ...simCase, scenario: { ...scenario, containers: others } };
    if (scripts.length < 2) continue;
    for (const i of scripts.keys()) {
      const fewer = { ...containers, [name]: without(scripts, i) };
      yield { ...simCase, scenario: { ...scenario, containers: fewer } };
    }
  }
}

function* smallerObjects(object: KubeObject): Generator<KubeObject> {
  if (!isPod(object)) return;
  const pod: Pod = object;
  const { initContainers = [], containers } = pod.spec;
  for (const i of initContainers.keys()) yield withSpec(pod, { initContainers: without(initContainers, i) });
  if (containers.length > 1)
    for (const i of containers.keys()) yield withSpec(pod, { containers: without(containers, i) });
  for (const [i, container] of containers.entries()) {
    for (const smaller of smallerContainers(container))
      yield withSpec(pod, { containers: containers.with(i, smaller) });
  }
  for (const [i, container] of initContainers.entries()) {
    for (const smaller of smallerContainers(container)) {
      yield withSpec(pod, { initContainers: initContainers.with(i, smaller) });
    }
  }
}

function* smallerContainers(container: Container): Generator<Container> {
  for (const field of ['startupProbe', 'livenessProbe', 'readinessProbe', 'lifecycle'] as const) {
    if (!container[field]) continue;
    const { [field]: _, ...rest } = container;
    yield rest;
  }
}

function withSpec(pod: Pod, spec: Partial<Pod['spec']>): Pod {
  return { ...pod, spec: { ...pod.spec, ...spec } };
}

function without<T>(list: readonly T[], index: number): T[] {
  return list.filter((_, i) => i !== index);
}
