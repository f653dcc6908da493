import type { Probe } from '../../api/generated/types.ts';
import { type ProbeSettings, probeSettings } from '../../kubelet/prober/probe-schedule.ts';
import type { Target } from './pod-targets.ts';

/** How long after it stops answering a container that has been well is restarted, and left out by Services. */
export interface ReactionTimes {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Until it gets SIGTERM. Absent without a liveness probe: then never. */
  readonly restart?: { readonly earliestMs: number; readonly latestMs: number };
  /** How much longer when it ignores SIGTERM too. */
  readonly graceMs: number;
  /** Absent without a readiness probe: then only when it ends. */
  readonly unrouted?: { readonly earliestMs: number; readonly latestMs: number };
}

/** @param target of a pod with its defaults. Pure. */
export function reactionTimes({ pod, container }: Target): ReactionTimes | undefined {
  const { livenessProbe, readinessProbe } = container;
  if (!livenessProbe && !readinessProbe) return undefined;
  const { name = '', namespace = 'default' } = pod.metadata;
  const graceSeconds = livenessProbe?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  return {
    namespace,
    pod: name,
    container: container.name,
    ...(livenessProbe ? { restart: untilNoticed(livenessProbe) } : {}),
    graceMs: graceSeconds * 1000,
    ...(readinessProbe ? { unrouted: untilNoticed(readinessProbe) } : {}),
  };
}

/** At the earliest it hangs just before a check, at the latest just after one; each check then lasts its time-out. */
function untilNoticed(probe: Probe): { earliestMs: number; latestMs: number } {
  const settings = probeSettings(probe);
  const earliestMs = (settings.failureThreshold - 1) * strideMs(settings) + settings.timeoutMs;
  return { earliestMs, latestMs: earliestMs + settings.periodMs };
}

/** From one check that times out to the next: one that would begin while the last still runs is skipped. */
function strideMs({ periodMs, timeoutMs }: ProbeSettings): number {
  return Math.max(1, Math.ceil(timeoutMs / periodMs)) * periodMs;
}
