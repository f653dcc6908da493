import type { Event, Pod } from '../api/generated/types.ts';
import { EVENTS } from '../api/resources.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { ProbeRecord } from '../kubelet/ports.ts';
import type { CliContext, ServerOptions } from './context.ts';
import { requestJson } from './response-body.ts';

/** The events about a pod (this very one, not an earlier one of its name). */
export async function podEvents(client: KubeClient, pod: Pod): Promise<Event[]> {
  const { name, namespace, uid } = pod.metadata;
  const fieldSelector = `involvedObject.name=${name},involvedObject.namespace=${namespace}`;
  const { items } = await client.list(EVENTS, { namespace, fieldSelector });
  return items.filter((e) => e.involvedObject.uid === undefined || e.involvedObject.uid === uid);
}

/** What the kubelet remembers of a pod's probes; empty when it cannot be asked (another kubelet, an agent that just died). */
export async function podProbes(context: CliContext, server: ServerOptions, pod: Pod): Promise<ProbeRecord[]> {
  return await askNode<ProbeRecord[]>(context, server, pod, 'probes', []);
}

async function askNode<T>(
  context: CliContext,
  server: ServerOptions,
  pod: Pod,
  what: string,
  otherwise: T,
): Promise<T> {
  const { name, namespace } = pod.metadata;
  const node = pod.spec?.nodeName;
  if (!node) return otherwise;
  const path = `/api/v1/nodes/${node}/proxy/${what}/${namespace}/${name}`;
  try {
    return await requestJson<T>(context, server, { path });
  } catch {
    // Probe results make an explanation better; without them it still has the status and the events.
    return otherwise;
  }
}
