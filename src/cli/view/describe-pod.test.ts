import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Event, Pod, PodStatus } from '../../api/generated/types.ts';
import { describePod, renderExplanation } from './describe-pod.ts';
import { styleOf } from './style.ts';

interface Trace {
  manifest: string;
  describe: string;
  watch: { status: PodStatus }[];
}
const traces = JSON.parse(
  readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<string, Trace>;
const NOW = Date.UTC(2026, 10, 23, 2, 30);

const podOf = (trace: Trace): Pod => ({
  metadata: { name: 'p', namespace: 'NS' },
  spec: { ...(parse(trace.manifest) as Pod).spec!, nodeName: 'peer' },
  status: trace.watch.at(-1)!.status,
});

/** From the first line to the conditions, without what a service account's token adds, which our pods have not. */
const comparable = (lines: string[]): string[] =>
  lines
    .slice(
      0,
      lines.findIndex((l) => l.startsWith('Volumes:')),
    )
    .map((l) => l.trimEnd().replace(/^ {4}Mounts: +<none>$/, '    Mounts:'))
    .filter((l) => !l.includes('serviceaccount'));

test.each([
  'two-init',
  'crash-loop',
  'liveness-http-twice',
  'startup-fails',
  'probe-exec-missing',
  'probe-grpc-refused',
  'two-containers-one-unready',
  'command-missing',
  'sidecar-job',
  'active-deadline',
])('%s is described as kubectl describes it', (name) => {
  const trace = traces[name]!;
  expect(comparable(describePod(podOf(trace), [], NOW))).toEqual(comparable(trace.describe.split('\n')));
});

test('events by age, repeats with their span', () => {
  const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString();
  const event = (reason: string, first: number, last: number, count: number, message: string): Event => ({
    metadata: { name: reason },
    involvedObject: {},
    type: 'Normal',
    reason,
    message,
    count,
    firstTimestamp: at(first),
    lastTimestamp: at(last),
    source: { component: 'kubelet' },
  });
  const lines = describePod(
    podOf(traces.plain!),
    [event('Killing', 3, 3, 1, 'Stopping\u001b[31m container'), event('Pulling', 130, 40, 3, 'Pulling image')],
    NOW,
  );
  expect(lines.slice(lines.indexOf('Events:'))).toEqual([
    'Events:',
    '  Type    Reason   Age                  From     Message',
    '  ----    ------   ----                 ----     -------',
    '  Normal  Pulling  40s (x3 over 2m10s)  kubelet  Pulling image',
    '  Normal  Killing  3s                   kubelet  Stopping container',
  ]);
});

test('the explanation comes with its facts and what to do', () => {
  expect(
    renderExplanation(
      {
        verdict: 'failing',
        headline: 'Not ready: it cannot.',
        causes: [{ kind: 'ConfigMissing', text: 'it cannot', evidence: ['a fact'], advice: 'mend it' }],
      },
      styleOf(false),
    ),
  ).toEqual(['Not ready: it cannot.', '  - a fact', '  > mend it']);
});
