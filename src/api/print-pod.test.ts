import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Pod, PodStatus } from './generated/types.ts';
import { podRow } from './print-pod.ts';

interface Trace {
  /** YAML. */
  manifest: string;
  'get pods': [at: number, row: string][];
  watch: { at: number; type: string; deleting: boolean; status: PodStatus }[];
}
const traces = JSON.parse(
  readFileSync(new URL('../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<string, Trace>;

/** READY, STATUS and RESTARTS as the recording kept them: `p 0/1 Init:0/2 0`. */
function recordedRow(trace: Trace, event: Trace['watch'][number]): string {
  const pod: Pod = {
    metadata: { name: 'p', ...(event.deleting ? { deletionTimestamp: '2026-11-23T02:26:06Z' } : {}) },
    spec: (parse(trace.manifest) as Pod).spec,
    status: event.status,
  };
  const row = podRow(pod, Date.parse('2026-11-23T02:30:00Z'));
  return `${row.name} ${row.ready} ${row.status} ${row.restarts.split(' ')[0]}`;
}

describe('the recorded lives', () => {
  test.each(Object.entries(traces))('%s', (_, trace) => {
    const rows = trace.watch.map((event) => ({ at: event.at, row: recordedRow(trace, event) }));
    for (const [at, expected] of trace['get pods']) {
      if (expected === '(gone)') continue;
      // kubectl ran a little before or after the watch event was noted.
      const before = rows.filter((r) => r.at <= at - 0.5).at(-1);
      const near = rows.filter((r) => Math.abs(r.at - at) < 0.5);
      expect([before?.row, ...near.map((r) => r.row)]).toContain(expected);
    }
  });
});

const NOW = Date.parse('2026-01-01T00:01:00Z');
const base = (status: PodStatus, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [{ name: 'c' }], ...spec },
  status,
});
const cs = (name: string, rest: object) => ({ name, image: '', imageID: '', ready: false, restartCount: 0, ...rest });

test('restarts say how long ago the last instance ended', () => {
  const status = cs('c', {
    ready: true,
    restartCount: 2,
    state: { running: {} },
    lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:00:48Z' } },
  });
  expect(podRow(base({ phase: 'Running', containerStatuses: [status] }), NOW)).toMatchObject({
    ready: '1/1',
    status: 'Running',
    restarts: '2 (12s ago)',
    age: '60s',
  });
});

test.each<[string, Pod, string]>([
  [
    'a signal without a reason',
    base({ containerStatuses: [cs('c', { state: { terminated: { exitCode: 137, signal: 9 } } })] }),
    'Signal:9',
  ],
  [
    'an exit code without a reason',
    base({ containerStatuses: [cs('c', { state: { terminated: { exitCode: 3 } } })] }),
    'ExitCode:3',
  ],
  [
    'gated',
    base({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
    'SchedulingGated',
  ],
  ['evicted', base({ phase: 'Failed', reason: 'Evicted' }), 'Evicted'],
  [
    'one completed, one running but not ready pod',
    base(
      {
        phase: 'Running',
        containerStatuses: [
          cs('a', { state: { terminated: { exitCode: 0, reason: 'Completed' } } }),
          cs('b', { ready: true, state: { running: {} } }),
        ],
      },
      { containers: [{ name: 'a' }, { name: 'b' }] },
    ),
    'NotReady',
  ],
])('STATUS of %s', (_, pod, status) => {
  expect(podRow(pod, NOW).status).toBe(status);
});

test('a finished pod that is being deleted keeps its word', () => {
  const pod = base({
    phase: 'Succeeded',
    containerStatuses: [cs('c', { state: { terminated: { exitCode: 0, reason: 'Completed' } } })],
  });
  pod.metadata.deletionTimestamp = '2026-01-01T00:00:59Z';
  expect(podRow(pod, NOW).status).toBe('Completed');
});

test('a started sidecar counts as ready, readiness gates are counted', () => {
  const pod = base(
    {
      phase: 'Pending',
      conditions: [{ type: 'x.io/a', status: 'True' }],
      initContainerStatuses: [
        cs('side', { ready: true, started: true, state: { running: {} } }),
        cs('i', { state: { waiting: { reason: 'PodInitializing' } } }),
      ],
    },
    {
      initContainers: [{ name: 'side', restartPolicy: 'Always' }, { name: 'i' }],
      readinessGates: [{ conditionType: 'x.io/a' }, { conditionType: 'x.io/b' }],
    },
  );
  expect(podRow(pod, NOW)).toMatchObject({ ready: '1/2', status: 'Init:1/2', readinessGates: '1/2', ip: '<none>' });
});
