import type { Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeClient, ObjectKey } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { getOrUndefined } from './apply-manifest.ts';

/** How long a pod may take to stop: undefined leaves it to the pod. */
export interface DeletePace {
  readonly gracePeriodSeconds?: number | undefined;
}

/** Deletes an object. Resolves with the UID of what was (or is being) deleted. */
export async function deleteObject(
  client: KubeClient,
  resource: Resource,
  key: ObjectKey,
  pace: DeletePace,
): Promise<string | undefined> {
  const { gracePeriodSeconds } = pace;
  const deleted = await client.delete(resource, key, {
    propagationPolicy: 'Background',
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  });
  return deleted?.metadata.uid;
}

/** Resolves once no object with this UID is there any more (another one of its name may be). */
export async function waitUntilGone(
  client: KubeClient,
  resource: Resource,
  key: ObjectKey,
  uid: string | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const object = await getOrUndefined(client.get(resource, key));
    if (!object || (uid !== undefined && object.metadata.uid !== uid)) return;
    const watched = new AbortController();
    const events = client.watch(resource, {
      namespace: key.namespace,
      fieldSelector: `metadata.name=${key.name}`,
      resourceVersion: object.metadata.resourceVersion,
      signal: AbortSignal.any([signal, watched.signal]),
    });
    try {
      for await (const event of events) {
        if (event.type === 'DELETED') return;
        // Too old to watch from: look again.
        if (event.type === 'ERROR' && event.object.code === 410) break;
        if (event.type === 'ERROR')
          throw new ApiStatusError(event.object.code ?? 500, event.object.reason ?? '', event.object.message ?? '');
      }
    } finally {
      watched.abort();
    }
    signal.throwIfAborted();
    await clock.sleep(100, signal);
  }
}
