import type { Pod } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { mayRestartAll } from '../../kubelet/sync/restart-policy.ts';
import type { Checker } from '../checker.ts';
import type { ContainerRef } from '../fact.ts';
import { containerSpec } from '../sim-node.ts';

/** Upstream's minimumGracePeriodInSeconds. */
const LEAST_SECONDS = 2;

/** So long a start call of an agent that died may still be under way, unknown to the next one. */
const UNKNOWN_START_MS = 200;

/** Whoever is stopped is asked first, and gets the time that it was promised. */
export function grace(): Checker {
  const pods = new Map<string, Pod>();
  const gone = new Set<string>();
  /** When each container may be killed, ms. */
  const killableAt = new Map<string, number>();
  let powerLostAt = -1;
  let agentStartedAt = 0;
  /** When those were started that a dead agent had begun to start. */
  const startedBehind = new Map<string, number>();
  return {
    name: 'grace',
    on(fact, report) {
      if (fact.what === 'written' && fact.collection === 'pods') {
        const uid = fact.object.metadata.uid!;
        pods.set(uid, fact.object as Pod);
        if (fact.removed) gone.add(uid);
      }
      if (fact.what === 'fault' && fact.name === 'sandbox killed') powerLostAt = fact.atMs;
      if (fact.what === 'powerCut') {
        powerLostAt = fact.atMs;
        // A removal may be lost.
        gone.clear();
      }
      if (fact.what === 'agentDied') agentStartedAt = Number.POSITIVE_INFINITY;
      if (fact.what === 'agentStarted') agentStartedAt = fact.atMs;
      if (fact.what === 'containerStarted' && fact.atMs < agentStartedAt + UNKNOWN_START_MS) {
        startedBehind.set(fact.containerId, fact.atMs);
      }
      if (fact.what === 'containerSignalled') {
        const startedAt = startedBehind.get(fact.containerId);
        if (startedAt !== undefined && fact.atMs < startedAt + UNKNOWN_START_MS) {
          killableAt.set(fact.containerId, fact.atMs);
          return;
        }
        const { containerId, graceSeconds, pod, container } = fact;
        const at = fact.atMs + graceSeconds * 1000;
        killableAt.set(containerId, Math.min(at, killableAt.get(containerId) ?? at));
        const least = leastSeconds(pods.get(fact.podUID), fact, gone.has(fact.podUID));
        if (graceSeconds < least) report(`${pod}/${container} gets ${graceSeconds} s to stop, not ${least} s`);
      }
      if (fact.what !== 'containerExited') return;
      const at = killableAt.get(fact.containerId);
      killableAt.delete(fact.containerId);
      if (fact.by !== 'SIGKILL' || fact.atMs === powerLostAt) return;
      if (at === undefined) report(`${fact.pod}/${fact.container} is killed without having been asked to stop`);
      else if (fact.atMs < at) report(`${fact.pod}/${fact.container} is killed ${at - fact.atMs} ms early`);
    },
  };
}

/** The shortest grace period that anything known of the pod allows. */
function leastSeconds(pod: Pod | undefined, { container }: ContainerRef, isGone: boolean): number {
  const spec = containerSpec(pod, container);
  if (!pod || !spec || isGone || spec.lifecycle?.preStop || isSidecar(spec)) return LEAST_SECONDS;
  // Nobody is asked to end in peace when all shall start anew.
  if (mayRestartAll(pod)) return LEAST_SECONDS;
  const periods = [
    pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30,
    spec.livenessProbe?.terminationGracePeriodSeconds,
    spec.startupProbe?.terminationGracePeriodSeconds,
  ];
  return Math.max(LEAST_SECONDS, Math.min(...periods.filter((p) => p !== undefined)));
}
