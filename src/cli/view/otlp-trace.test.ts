import { expect, it } from 'vitest';
import type { PodTrace } from '../../kubelet/trace/pod-trace.ts';
import { otlpTrace } from './otlp-trace.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
}
interface Request {
  readonly resourceSpans: { resource: object; scopeSpans: { scope: object; spans: Span[] }[] }[];
}

const section = {
  cause: 'start',
  startedAt: 1_767_268_800_000.25,
  droppedSpans: 0,
  spans: [
    { id: 1, name: 'pod start', startMs: 0 },
    { id: 2, parent: 1, name: 'app', container: 'app', restartCount: 0, startMs: 1.5, durationMs: 2 },
    {
      id: 27,
      parent: 2,
      name: 'CreateContainer',
      container: 'app',
      restartCount: 0,
      detail: 'd',
      startMs: 1.5,
      durationMs: 2,
      error: 'no',
    },
  ],
} as const;
const trace: PodTrace = {
  namespace: 'ns',
  name: 'web',
  uid: 'u',
  sections: [
    { number: 0, ...section },
    { number: 3, ...section },
  ],
};
const spansOf = (request: object): Span[] => (request as Request).resourceSpans[0]!.scopeSpans[0]!.spans;

it('is what the OTLP specification’s JSON form says', () => {
  const request = otlpTrace(trace, 1_767_268_801_000) as Request;
  expect(request.resourceSpans[0]!.resource).toEqual({
    attributes: [
      { key: 'service.name', value: { stringValue: 'kubelette' } },
      { key: 'k8s.namespace.name', value: { stringValue: 'ns' } },
      { key: 'k8s.pod.name', value: { stringValue: 'web' } },
      { key: 'k8s.pod.uid', value: { stringValue: 'u' } },
    ],
  });
  const [root, group, call] = spansOf(request);
  const { traceId } = root!;
  expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(root).toEqual({
    traceId,
    spanId: '0000000000000001',
    name: 'pod start',
    kind: 1,
    startTimeUnixNano: '1767268800000250000',
    endTimeUnixNano: '1767268801000000000',
    attributes: [{ key: 'kubelette.unfinished', value: { boolValue: true } }],
  });
  expect(group).toMatchObject({ parentSpanId: '0000000000000001', endTimeUnixNano: '1767268800003750000' });
  expect(call).toEqual({
    traceId,
    spanId: '000000000000001b',
    parentSpanId: '0000000000000002',
    name: 'CreateContainer',
    kind: 3,
    startTimeUnixNano: '1767268800001750000',
    endTimeUnixNano: '1767268800003750000',
    attributes: [
      { key: 'k8s.container.name', value: { stringValue: 'app' } },
      { key: 'k8s.container.restart_count', value: { intValue: '0' } },
      { key: 'kubelette.detail', value: { stringValue: 'd' } },
    ],
    status: { code: 2, message: 'no' },
  });
});

it('gives each section a trace of its own, the same each time', () => {
  const ids = (): string[] => spansOf(otlpTrace(trace, 0)).map((s) => s.traceId);
  expect(new Set(ids()).size).toBe(2);
  expect(ids()).toEqual(ids());
});
