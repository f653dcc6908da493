import type { Pod } from '../../api/generated/types.ts';
import { effectiveGracePeriod } from '../../api/pod-resources.ts';
import { type KubeObject, NAMESPACES } from '../../api/resources.ts';
import { assert } from '../../lib/errors.ts';
import type { Action, Scenario } from '../scenario.ts';
import { type ObjectCreator, simulate } from '../simulate.ts';
import type { Forecast } from './forecast.ts';
import { ForecastRecorder } from './forecast-recorder.ts';
import { lintContainer } from './lint-pod.ts';
import { PodTargets } from './pod-targets.ts';
import { reactionTimes } from './reaction-times.ts';
import type { WhatIf } from './what-if.ts';

export interface ForecastOptions {
  /** As manifests have them, each in its namespace; created in this order at 0. */
  readonly objects: readonly KubeObject[];
  readonly targets: PodTargets;
  readonly whatIf: WhatIf;
  readonly creator: ObjectCreator;
}

/** The machine that is simulated is always the same one. */
const SEED = 1;
/** The node is Ready by then, and the objects come. */
const ORIGIN_MS = 2000;
/** After the end of the longest grace period: for what comes after the last container. */
const DELETION_MARGIN_MS = 10_000;
const BUILT_IN_NAMESPACES = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

/** Runs the node on virtual time and tells what happens to these objects. Needs nothing of the host. */
export async function computeForecast({ objects, targets, whatIf, creator }: ForecastOptions): Promise<Forecast> {
  const forMs = whatIf.horizonMs(targets);
  const graceMs = Math.max(0, ...targets.pods.map((pod) => graceSecondsOf(pod) * 1000));
  const durationMs = ORIGIN_MS + forMs + graceMs + DELETION_MARGIN_MS;
  const scenario = whatIf.scenario(targets, ORIGIN_MS);
  const creations = [...missingNamespaces(objects), ...objects].map((object): Action => {
    return { atMs: ORIGIN_MS, do: 'create', object };
  });
  const deletions = targets.pods.map(({ metadata: { name = '', namespace = 'default' } }): Action => {
    return { atMs: ORIGIN_MS + forMs, do: 'delete', pod: name, namespace };
  });
  const actions = [...creations, ...(scenario.actions ?? []), ...deletions];
  const run: Scenario = { ...scenario, actions, durationMs };
  const recorder = new ForecastRecorder(run, ORIGIN_MS, forMs);
  const { violations } = await simulate({
    objects: [],
    scenario: run,
    seed: SEED,
    keepsFacts: false,
    onFact: (fact) => recorder.on(fact),
    creator,
  });
  assert(violations.length === 0, violations[0]?.message ?? '');
  recorder.end(durationMs);
  const stored = new PodTargets(recorder.storedPods);
  return {
    version: 1,
    forMs,
    pods: recorder.podForecasts(),
    containers: recorder.containerForecasts(),
    clients: recorder.clientForecasts(),
    steps: recorder.steps,
    reactions: stored.containers.map(reactionTimes).filter((r) => r !== undefined),
    notes: recorder.notes(),
    warnings: stored.containers.flatMap((target) => lintContainer(target, whatIf.startsAfterMs(target))),
  };
}

/** A manifest alone does not say that they are there; on the node that it is meant for they will be. */
function missingNamespaces(objects: readonly KubeObject[]): KubeObject[] {
  const made = new Set(objects.filter((o) => o.kind === NAMESPACES.kind).map((o) => o.metadata.name));
  const used = new Set(objects.map((o) => o.metadata.namespace).filter((name) => name !== undefined));
  return [...used]
    .filter((name) => !BUILT_IN_NAMESPACES.has(name) && !made.has(name))
    .map((name) => ({ apiVersion: 'v1', kind: NAMESPACES.kind, metadata: { name } }));
}

/** Of a pod that is not validated yet. */
function graceSecondsOf(pod: Pod): number {
  const seconds: unknown = pod.spec ? effectiveGracePeriod(pod) : 0;
  return typeof seconds === 'number' && Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}
