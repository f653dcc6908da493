import type { Probe } from '../../api/generated/types.ts';
import { humanDuration } from '../../api/human-duration.ts';
import type { ProbeRecord, ProbeResult } from '../../kubelet/ports.ts';
import { latency, timeLeft } from './duration.ts';
import { plainText } from './style.ts';

/** What a probe does, short: `GET :3000/ready`, `tcp :5432`, `exec cat /tmp/ok`, `grpc :9000`. */
export function probeTarget(probe: Probe): string {
  if (probe.httpGet) {
    const { scheme, host, port, path } = probe.httpGet;
    const place = scheme === 'HTTPS' ? `https://${host ?? ''}` : host ? `//${host}` : '';
    return `GET ${place}:${port}${path?.startsWith('/') ? path : `/${path ?? ''}`}`;
  }
  if (probe.tcpSocket) return `tcp ${probe.tcpSocket.host ?? ''}:${probe.tcpSocket.port}`;
  if (probe.grpc) return `grpc :${probe.grpc.port}${probe.grpc.service ? ` ${probe.grpc.service}` : ''}`;
  if (probe.exec) return `exec ${(probe.exec.command ?? []).join(' ')}`;
  return 'nothing';
}

/** The newest results that say the same, those left out that count for nothing. */
export function streakOf(record: Pick<ProbeRecord, 'results'>): { good: boolean; length: number } | undefined {
  const counted = record.results.filter((r) => r.outcome !== 'unknown');
  const first = counted[0];
  if (!first) return undefined;
  const good = isGood(first);
  const end = counted.findIndex((r) => isGood(r) !== good);
  return { good, length: end === -1 ? counted.length : end };
}

export function isGood(result: ProbeResult): boolean {
  return result.outcome === 'success' || result.outcome === 'warning';
}

/** How one check went: `failed: HTTP probe failed with statuscode: 500 (3ms)`. */
export function resultWords(result: ProbeResult): string {
  const word = { success: 'succeeded', warning: 'succeeded', failure: 'failed', unknown: 'could not be made' }[
    result.outcome
  ];
  const output = plainText(result.output);
  const shown = output === '' || result.outcome === 'success' ? '' : `: ${output}`;
  return `${word}${shown} (${latency(result.latencyMs)})`;
}

/** The facts of a probe, one a line: what is checked, the last results, what is still needed, when the next check is. */
export function probeEvidence(record: ProbeRecord, now: number): string[] {
  const { probe, type, results } = record;
  const period = probe.periodSeconds ?? 10;
  const lines = [`${type} probe: ${probeTarget(probe)} every ${period}s, time-out ${probe.timeoutSeconds ?? 1}s`];
  const last = results[0];
  if (last) {
    const age = now - last.at;
    lines.push(`last check ${age < 1000 ? 'just now' : `${humanDuration(age)} ago`} ${resultWords(last)}`);
    const streak = streakOf(record);
    if (streak && !streak.good && streak.length > 1) lines.push(`${streak.length} checks in a row failed`);
  } else {
    const delay = probe.initialDelaySeconds ?? 0;
    lines.push(delay > 0 ? `no check yet: they begin ${delay}s after the start` : 'no check yet');
  }
  const next = record.nextAt === undefined ? undefined : `next check in ${timeLeft(record.nextAt - now)}`;
  const needed = neededWords(record);
  const rest = [needed, next].filter((w) => w !== undefined).join('; ');
  if (rest !== '') lines.push(rest);
  return lines;
}

function neededWords(record: ProbeRecord): string | undefined {
  const { probe, type, verdict } = record;
  const streak = streakOf(record);
  const failures = streak && !streak.good ? streak.length : 0;
  const left = Math.max(1, (probe.failureThreshold ?? 3) - failures);
  if (type === 'liveness') return failures === 0 ? undefined : `${count(left, 'more failure')} and it is restarted`;
  if (verdict === 'success') return failures === 0 ? undefined : `${count(left, 'more failure')} and it is not ready`;
  const successes = streak?.good ? streak.length : 0;
  const needed = count(Math.max(1, (probe.successThreshold ?? 1) - successes), 'more success', 'es');
  if (type === 'readiness') return `${needed} needed`;
  return `${needed} needed, ${count(left, 'more failure')} and it is killed`;
}

/** `1 container`, `2 containers`. */
export function count(n: number, noun: string, plural = 's'): string {
  return `${n} ${noun}${n === 1 ? '' : plural}`;
}
