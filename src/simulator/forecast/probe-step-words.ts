import type { Probe } from '../../api/generated/types.ts';
import { probeSettings } from '../../kubelet/prober/probe-schedule.ts';
import type { ProbeStep } from './forecast.ts';

/** One check in words: `liveness probe fails (2 of 3)`. */
export function probeStepWords(step: ProbeStep, probe: Probe): string {
  const { type, outcome, streak, threshold, counts } = step;
  const { timeoutMs } = probeSettings(probe);
  const words = {
    success: 'succeeds',
    failure: 'fails',
    refused: probe.exec ? 'fails' : 'fails: connection refused',
    hang: `fails: no answer in ${timeoutMs / 1000} s`,
    error: 'cannot be made',
  }[outcome];
  if (!counts) return `${type} probe ${words} (does not count${outcome === 'refused' ? ' in the first second' : ''})`;
  const needsMore = outcome !== 'success' || threshold > 1;
  return `${type} probe ${words}${needsMore && streak <= threshold ? ` (${streak} of ${threshold})` : ''}`;
}
