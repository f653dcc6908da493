import { expect, it } from 'vitest';
import type { PodTrace } from '../../kubelet/trace/pod-trace.ts';
import { renderTrace } from './render-trace.ts';
import { styleOf } from './style.ts';

const startedAt = Date.UTC(2026, 0, 1, 12, 0, 0) + 0.25;
const trace: PodTrace = {
  namespace: 'default',
  name: 'web',
  uid: 'u',
  sections: [
    {
      number: 0,
      cause: 'start',
      startedAt,
      outcome: 'Ready',
      durationMs: 100,
      droppedSpans: 0,
      spans: [
        { id: 1, name: 'pod start', startMs: 0, durationMs: 100 },
        { id: 2, parent: 1, name: 'seen', startMs: 1.25, durationMs: 0 },
        { id: 3, parent: 1, name: 'app', container: 'app', startMs: 25, durationMs: 75 },
        { id: 4, parent: 3, name: 'image', detail: 'busybox', container: 'app', startMs: 25, durationMs: 25 },
        { id: 5, parent: 3, name: 'CreateContainer', container: 'app', startMs: 50, durationMs: 50 },
      ],
    },
  ],
};

it('draws a waterfall, aligned, as wide as the terminal', () => {
  const lines = renderTrace(trace, 62, styleOf(false));
  expect(lines).toEqual([
    'pod default/web: start at 2026-01-01 12:00:00.000 UTC, Ready after 100.0 ms',
    '',
    'ms                   began   took',
    'pod start              0.0  100.0  ███████████████████████████',
    '  seen                 1.3         │',
    '  app                 25.0   75.0        █████████████████████',
    '    image (busybox)   25.0   25.0        ███████▌',
    '    CreateContainer   50.0   50.0               ██████████████',
  ]);
  for (const line of lines.slice(1)) expect([...line].length).toBeLessThanOrEqual(62);
});

it('shows what lasts, what failed and what was dropped', () => {
  const [section] = trace.sections;
  const spans = [
    { id: 1, name: 'app ended', startMs: 0 },
    { id: 2, parent: 1, name: 'CreateContainer', startMs: 5, durationMs: 5, error: 'no\u001b[31m such\nimage' },
  ];
  const { outcome: _, durationMs: __, ...unfinished } = section!;
  const ended = { ...unfinished, cause: 'containerEnded', container: 'app', droppedSpans: 3, spans } as const;
  const lines = renderTrace({ ...trace, sections: [section!, ended] }, 60, styleOf(false)).slice(8);
  expect(lines).toEqual([
    '',
    'pod default/web: container app ended at 2026-01-01 12:00:00.000 UTC, not Ready yet',
    '',
    'ms                 began  took',
    'app ended            0.0   ...  ████████████████████████████',
    '  CreateContainer    5.0   5.0                ██████████████',
    'CreateContainer failed: no such image',
    '(3 older spans are no longer kept)',
  ]);
});

it('is coloured only when asked to', () => {
  expect(renderTrace(trace, 80, styleOf(true)).join('')).toContain('\u001b[');
});
