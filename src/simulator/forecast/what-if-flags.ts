import { UserError } from '../../lib/errors.ts';
import { parseDuration } from '../../lib/go-duration.ts';
import type { HealthWindow } from '../scenario.ts';
import type { Complain, PodTargets, Target } from './pod-targets.ts';
import type { WhatIf } from './what-if.ts';

export type Answer = HealthWindow['answer'];
export const ANSWERS: readonly Answer[] = ['failure', 'refused', 'hang', 'error'];
/** How long our own process is away when nobody says: as long as a supervisor needs to start it again. */
export const DOWN_MS = 1000;
const LONGEST_MS = 24 * 3_600_000;
const MOST_FAILURES = 100;

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

/** How often something fails. */
export function countOf(text: string, complain: Complain): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST_FAILURES) return count;
  throw complain(`${JSON.stringify(text)} is no number from 1 to ${MOST_FAILURES}`);
}

/** Milliseconds. */
export function durationOf(text: string, complain: Complain): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw complain(`${JSON.stringify(text)} is no duration`, 'such as 500ms, 40s, 1m30s');
  if (ms > LONGEST_MS) throw complain(`${text} is longer than 24h`);
  return Math.round(ms);
}

export function answerOf(word: string, complain: Complain): Answer {
  const answer = ANSWERS.find((a) => a === word);
  if (answer) return answer;
  throw complain(`${JSON.stringify(word)} is no answer`, `answers are ${ANSWERS.join(', ')}`);
}

function hasProbes({ container }: Target): boolean {
  return Boolean(container.startupProbe ?? container.livenessProbe ?? container.readinessProbe);
}

function complainOf(flag: string, value: string): Complain {
  return (reason, hint) => new UserError(`${flag} ${value}: ${reason}`, hint === undefined ? {} : { hint });
}
