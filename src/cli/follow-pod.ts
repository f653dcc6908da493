import type { Event, Pod } from '../api/generated/types.ts';
import { EVENTS, PODS } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import { silentLogger } from '../lib/logger.ts';
import { eventsAround, isAbout } from './pod-facts.ts';

/** How long the server may be away before following is given up: an agent that restarts needs a second or two. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 300;

interface PodKey {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/**
 * Tells of a pod's every state from now on, the last one being undefined: it is gone, or another pod has its name. Resolves then, or
 * when the signal aborts. Level-triggered: states may be left out, the newest never.
 * @throws UserError when the server stays away
 */
export async function followPod(
  client: KubeClient,
  clock: Clock,
  key: PodKey,
  onPod: (pod: Pod | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  let lastHeard = clock.monotonic();
  while (!signal.aborted) {
    try {
      const pod = await client.get(PODS, key);
      lastHeard = clock.monotonic();
      if (pod.metadata.uid !== key.uid) return onPod(undefined);
      onPod(pod);
      const { resourceVersion } = pod.metadata;
      const fieldSelector = `metadata.name=${key.name}`;
      for await (const event of client.watch(PODS, {
        namespace: key.namespace,
        fieldSelector,
        resourceVersion,
        signal,
      })) {
        lastHeard = clock.monotonic();
        // Whatever the error is, looking again is the answer.
        if (event.type === 'ERROR') break;
        if (event.type === 'BOOKMARK' || event.object.metadata.name !== key.name) continue;
        if (event.type === 'DELETED' || event.object.metadata.uid !== key.uid) return onPod(undefined);
        onPod(event.object);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (hasReason(error, 'NotFound')) return onPod(undefined);
      if (clock.monotonic() - lastHeard > PATIENCE_MS) {
        throw new UserError('the API server went away', {
          hint: 'kubelette up starts it again; pods live on',
          cause: error,
        });
      }
    }
    if (!signal.aborted) await clock.sleep(RETRY_MS, signal).catch(() => {});
  }
}

/**
 * Tells of all events about a pod (this very one, not an earlier one of its name), at the start and at each change, until the signal
 * aborts. Events help whoever looks at a pod and no more: while the server is away nothing is told, and nothing is thrown.
 */
export async function followPodEvents(
  client: KubeClient,
  clock: Clock,
  key: PodKey,
  onEvents: (events: readonly Event[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const events = new Informer({ client, resource: EVENTS, clock, logger: silentLogger, ...eventsAround(key) });
  const tell = (): void => onEvents(events.list().filter((event) => isAbout(event, key.uid)));
  events.addHandlers({ add: tell, update: tell, delete: tell });
  await events.run(signal);
}
