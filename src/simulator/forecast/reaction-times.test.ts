import { expect, test } from 'vitest';
import type { Probe } from '../../api/generated/types.ts';
import { computeForecast } from './compute-forecast.ts';
import { PodTargets } from './pod-targets.ts';
import { reactionTimes } from './reaction-times.ts';
import { podOf, targetOf } from './test-pods.ts';
import { WhatIf } from './what-if.ts';

const probe = (seconds: Partial<Probe>): Probe => ({ httpGet: { path: '/', port: 80 }, ...seconds });

test.each<[Partial<Probe>, number, number]>([
  [{}, 21_000, 31_000],
  [{ periodSeconds: 5 }, 11_000, 16_000],
  [{ periodSeconds: 1, failureThreshold: 1 }, 1000, 2000],
  // A check that still runs when the next is due makes that one late.
  [{ periodSeconds: 2, timeoutSeconds: 5 }, 17_000, 19_000],
  [{ periodSeconds: 2, timeoutSeconds: 2 }, 6000, 8000],
])('a hang is noticed by %j after %d to %d ms, as in a simulated life', async (seconds, earliestMs, latestMs) => {
  const container = { name: 'app', image: 'web', livenessProbe: probe(seconds) };
  expect(reactionTimes(targetOf(container))).toMatchObject({ restart: { earliestMs, latestMs }, graceMs: 30_000 });
  // Hangs at several moments of a period.
  const periodMs = (seconds.periodSeconds ?? 10) * 1000;
  for (const part of [0.01, 0.3, 0.6, 0.99]) {
    const targets = new PodTargets([podOf('p', { containers: [container] })]);
    const whatIf = new WhatIf();
    const fromMs = 30_000 + Math.round(part * periodMs);
    whatIf.of(targets.containers[0]!).health.push({ fromMs, inRun: true, answer: 'hang' });
    const creator = { refused: () => expect.unreachable(), warned: () => expect.unreachable() };
    const { steps } = await computeForecast({ objects: targets.pods as never, targets, whatIf, creator });
    const killedMs = steps.find((s) => s.kind === 'killing')!.atMs - fromMs;
    expect(killedMs).toBeGreaterThanOrEqual(earliestMs);
    expect(killedMs).toBeLessThanOrEqual(latestMs + 10);
  }
});

test('without a liveness probe nobody restarts it; without any there is nothing to say', () => {
  const readinessProbe = probe({ periodSeconds: 6 });
  expect(reactionTimes(targetOf({ readinessProbe }))).toEqual({
    namespace: 'default',
    pod: 'p',
    container: 'app',
    graceMs: 30_000,
    unrouted: { earliestMs: 13_000, latestMs: 19_000 },
  });
  expect(reactionTimes(targetOf({}))).toBeUndefined();
});
