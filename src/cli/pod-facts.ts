import type { Event, ObjectMeta, Pod } from '../api/generated/types.ts';
import { EVENTS } from '../api/resources.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { ProbeRecord } from '../kubelet/ports.ts';
import type { PodTrace } from '../kubelet/trace/pod-trace.ts';
import { messageOf, UserError } from '../lib/errors.ts';
import type { CliContext, ServerOptions } from './context.ts';
import { requestJson } from './response-body.ts';
import type { PodView } from './view/render-pod.ts';

/** The events about a pod (this very one, not an earlier one of its name). */
export async function podEvents(client: KubeClient, pod: Pod): Promise<Event[]> {
  const { items } = await client.list(EVENTS, eventsAround(pod.metadata));
  return items.filter((event) => isAbout(event, pod.metadata.uid));
}

/** Where to look for them: a selector knows no UID, so those of an earlier pod of the name are found too. */
export function eventsAround({ name, namespace }: ObjectMeta): {
  namespace: string | undefined;
  fieldSelector: string;
} {
  return { namespace, fieldSelector: `involvedObject.name=${name},involvedObject.namespace=${namespace}` };
}

export function isAbout(event: Event, podUID: string | undefined): boolean {
  return event.involvedObject.uid === undefined || event.involvedObject.uid === podUID;
}

/** What the kubelet remembers of a pod's probes; empty when it cannot be asked (another kubelet, an agent that just died). */
export async function podProbes(context: CliContext, server: ServerOptions, pod: Pod): Promise<ProbeRecord[]> {
  const { name, namespace } = pod.metadata;
  const node = pod.spec?.nodeName;
  if (!node) return [];
  try {
    return await requestJson(context, server, { path: `/api/v1/nodes/${node}/proxy/probes/${namespace}/${name}` });
  } catch {
    // Probe results make an explanation better; without them it still has the status and the events.
    return [];
  }
}

/** Where the time went when the pod started. @throws UserError when nothing of that is kept, or the kubelet cannot be asked */
export async function podTraceOf(context: CliContext, server: ServerOptions, pod: Pod): Promise<PodTrace> {
  const { name, namespace } = pod.metadata;
  const node = pod.spec.nodeName;
  if (!node) throw new UserError(`pod ${namespace}/${name} has no node yet: nothing has been done to start it`);
  let trace: PodTrace;
  try {
    trace = await requestJson(context, server, { path: `/api/v1/nodes/${node}/proxy/traces/${namespace}/${name}` });
  } catch (error) {
    throw new UserError(`the kubelet of node ${node} does not tell the trace: ${messageOf(error)}`, { cause: error });
  }
  if (trace.sections.length > 0) return trace;
  throw new UserError(`no trace of pod ${namespace}/${name} is kept: the agent was started after the pod`, {
    hint: 'what happens from now on is traced: a restart of a container, or the pod created anew',
  });
}

/** Bytes of the image pulls under way on the pod's node, if it tells. */
export async function podPull(context: CliContext, server: ServerOptions, pod: Pod): Promise<PodView['pull']> {
  const node = pod.spec?.nodeName;
  if (!node) return undefined;
  try {
    const pull = await requestJson<Partial<NonNullable<PodView['pull']>>>(context, server, {
      path: `/api/v1/nodes/${node}/proxy/pulls`,
    });
    const { doneBytes, totalBytes } = pull;
    return doneBytes !== undefined && totalBytes ? { doneBytes, totalBytes } : undefined;
  } catch {
    return undefined;
  }
}
