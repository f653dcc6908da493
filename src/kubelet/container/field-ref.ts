import type { Container, Pod } from '../../api/generated/types.ts';
import { goQuote } from '../../api/go-text.ts';
import { ownValue } from '../../api/own-value.ts';

/** What fields of the pod's status hold by the time a container is made. */
export interface FieldContext {
  readonly nodeName: string;
  readonly hostIP: string;
  readonly podIPs: readonly string[];
}

/**
 * The value of a downward API field (`fieldRef`) as an environment variable or a file shows it.
 * Rules: `pkg/fieldpath/fieldpath.go` and the kubelet's podFieldSelectorRuntimeValue. @throws Error on an unknown path
 */
export function fieldValue(pod: Pod, fieldPath: string, context: FieldContext): string {
  const { metadata, spec } = pod;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript) return ownValue(metadata[subscript[1] as 'labels' | 'annotations'], subscript[2]!) ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? context.nodeName;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
    case 'status.hostIPs':
      return context.hostIP;
    case 'status.podIP':
      return context.podIPs[0] ?? '';
    case 'status.podIPs':
      return context.podIPs.join(',');
    default:
      throw new Error(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** Whether what the container's environment is made of has the pod's addresses in it. */
export function readsPodIPs({ env = [] }: Container): boolean {
  return env.some(({ valueFrom }) => /^status\.podIPs?$/.test(valueFrom?.fieldRef?.fieldPath ?? ''));
}

/** `key="value"` a line, sorted, values quoted as Go does. */
function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .join('\n');
}
