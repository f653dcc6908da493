import type { Pod } from '../api/generated/types.ts';
import { PODS } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';

/** How long the server may be away before following is given up: an agent that restarts needs a second or two. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 300;

/**
 * Tells of a pod's every state from now on, the last one being undefined: it is gone, or another pod has its name. Resolves then, or
 * when the signal aborts. Level-triggered: states may be left out, the newest never.
 * @throws UserError when the server stays away
 */
export async function followPod(
  client: KubeClient,
  clock: Clock,
  key: { readonly name: string; readonly namespace: string; readonly uid: string },
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
