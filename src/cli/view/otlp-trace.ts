import { createHash } from 'node:crypto';
import type { PodTrace, TraceSection, TraceSpan } from '../../kubelet/trace/pod-trace.ts';

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly boolValue: boolean };
}

/** Enumerations of opentelemetry/proto/trace/v1/trace.proto, which its JSON form writes as numbers. */
const SPAN_KIND = { internal: 1, client: 3 };
const STATUS_CODE_ERROR = 2;
/** Calls of the container runtime are named as CRI names them. */
const CRI_CALL = /^[A-Z]/;

/**
 * A pod's trace as OTLP/JSON (`ExportTraceServiceRequest` of opentelemetry-proto, by the JSON mapping of the OTLP specification): each
 * section is one trace. The ids depend on the pod and the section alone, so that sending it again tells nothing new.
 * @param now wall time, ms: where spans end that still last
 */
export function otlpTrace(trace: PodTrace, now: number): object {
  const { namespace, name, uid } = trace;
  return {
    resourceSpans: [
      {
        resource: {
          attributes: [
            text('service.name', 'kubelette'),
            text('k8s.namespace.name', namespace),
            text('k8s.pod.name', name),
            text('k8s.pod.uid', uid),
          ],
        },
        scopeSpans: [
          {
            scope: { name: 'kubelette' },
            spans: trace.sections.flatMap((section) => section.spans.map((span) => otlpSpan(uid, section, span, now))),
          },
        ],
      },
    ],
  };
}

function otlpSpan(podUID: string, section: TraceSection, span: TraceSpan, now: number): object {
  const traceId = createHash('sha256').update(`${podUID}/${section.number}`).digest('hex').slice(0, 32);
  const start = section.startedAt + span.startMs;
  const end = span.durationMs === undefined ? Math.max(start, now) : start + span.durationMs;
  const { container, restartCount, detail } = span;
  return {
    traceId,
    spanId: spanId(span.id),
    ...(span.parent === undefined ? {} : { parentSpanId: spanId(span.parent) }),
    name: span.name,
    kind: CRI_CALL.test(span.name) ? SPAN_KIND.client : SPAN_KIND.internal,
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: [
      ...(container === undefined ? [] : [text('k8s.container.name', container)]),
      ...(restartCount === undefined
        ? []
        : [{ key: 'k8s.container.restart_count', value: { intValue: String(restartCount) } }]),
      ...(detail === undefined ? [] : [text('kubelette.detail', detail)]),
      ...(span.durationMs === undefined ? [{ key: 'kubelette.unfinished', value: { boolValue: true } }] : []),
    ] satisfies KeyValue[],
    ...(span.error === undefined ? {} : { status: { code: STATUS_CODE_ERROR, message: span.error } }),
  };
}

function text(key: string, stringValue: string): KeyValue {
  return { key, value: { stringValue } };
}

/** Unique within a trace, which is all that is asked of them. */
function spanId(id: number): string {
  return id.toString(16).padStart(16, '0');
}

/** ns since the epoch do not fit a double: microseconds do. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}
