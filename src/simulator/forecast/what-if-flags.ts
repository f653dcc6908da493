import { UserError } from '../../lib/errors.ts';
import { answerOf, countOf, durationOf } from './assumed-values.ts';
import type { Complain, PodTargets, Target } from './pod-targets.ts';
import type { WhatIf } from './what-if.ts';

/** How long our own process is away when nobody says: as long as a supervisor needs to start it again. */
export const DOWN_MS = 1000;

/** What the flags say, each as often as it was given, as it was typed. */
export interface WhatIfFlags {
  readonly fail?: readonly string[];
  readonly slowStart?: readonly string[];
  readonly initFails?: readonly string[];
  readonly killAgent?: readonly string[];
  readonly for?: string;
}

/** Adds what flags say. @throws UserError that names flag, value and reason */
export function addFlags(whatIf: WhatIf, targets: PodTargets, flags: WhatIfFlags): void {
  for (const text of flags.fail ?? []) addFailure(whatIf, targets, text, complainOf('--fail', text));
  for (const text of flags.slowStart ?? []) addSlowStart(whatIf, targets, text, complainOf('--slow-start', text));
  for (const text of flags.initFails ?? []) addInitFailures(whatIf, targets, text, complainOf('--init-fails', text));
  for (const text of flags.killAgent ?? []) {
    const atMs = durationOf(text, complainOf('--kill-agent', text));
    whatIf.actions.push({ atMs, do: 'killAgent', downMs: DOWN_MS });
  }
  if (flags.for !== undefined) {
    const complain = complainOf('--for', flags.for);
    whatIf.forMs = durationOf(flags.for, complain);
    if (whatIf.forMs === 0) throw complain('it must be longer than 0');
  }
}

/** `CONTAINER[.PROBE]@FROM[-TO][=ANSWER]`, in the run's time. A restart heals it. */
export function addFailure(whatIf: WhatIf, targets: PodTargets, text: string, complain: Complain): void {
  const match = /^([^@]+)@([^=-]+)(?:-([^=]+))?(?:=(.+))?$/.exec(text);
  if (!match)
    throw complain('expected CONTAINER.PROBE@TIME', 'such as webapl.liveness@40s, webapl.readiness@20s-30s=hang');
  const [, who, from, to, word = 'failure'] = match;
  const { target, probe } = targets.probe(who!, complain);
  const fromMs = durationOf(from!, complain);
  const toMs = to === undefined ? undefined : durationOf(to, complain);
  if (toMs !== undefined && toMs <= fromMs) throw complain(`${to} is not after ${from}`);
  const answer = answerOf(word, complain);
  const more = { ...(probe ? { probe } : {}), ...(toMs === undefined ? {} : { toMs }) };
  whatIf.of(target).health.push({ fromMs, ...more, inRun: true, answer });
}

/** `[CONTAINER:]TIME`; without a container, all that have probes. */
function addSlowStart(whatIf: WhatIf, targets: PodTargets, text: string, complain: Complain): void {
  const colon = text.lastIndexOf(':');
  const startsAfterMs = durationOf(text.slice(colon + 1), complain);
  const slow = colon < 0 ? targets.containers.filter(hasProbes) : [targets.container(text.slice(0, colon), complain)];
  if (slow.length === 0) throw complain('no container here has a probe that would notice');
  for (const target of slow) whatIf.of(target).startsAfterMs = startsAfterMs;
}

/** `CONTAINER:TIMES` */
function addInitFailures(whatIf: WhatIf, targets: PodTargets, text: string, complain: Complain): void {
  const match = /^(.+):([^:]*)$/.exec(text);
  if (!match) throw complain('expected CONTAINER:TIMES', 'such as install:2');
  const target = targets.initContainer(match[1]!, complain);
  whatIf.of(target).fails = countOf(match[2]!, complain);
}

function hasProbes({ container }: Target): boolean {
  return Boolean(container.startupProbe ?? container.livenessProbe ?? container.readinessProbe);
}

function complainOf(flag: string, value: string): Complain {
  return (reason, hint) => new UserError(`${flag} ${value}: ${reason}`, hint === undefined ? {} : { hint });
}
