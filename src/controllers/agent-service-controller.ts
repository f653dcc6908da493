import { ENDPOINTS, ENDPOINTSLICES, type KubeObject, type Resource, SERVICES } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { type AgentService, agentServiceObjects } from './agent-service.ts';

export interface AgentServiceControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two writes of one object: whoever wants it otherwise must not make us busy. */
const PAUSE_MS = 1000;

/**
 * Keeps a Service of the agent's own in the API, with its endpoints: makes what is not there, also when somebody deleted it, and
 * changes what leads elsewhere. What others add to it stays.
 */
export class AgentServiceController {
  /** Resolves when all of it was made, or could not be. */
  readonly synced: Promise<void>;
  private readonly options: AgentServiceControllerOptions;
  private readonly wanted: AgentService;
  private markSynced = (): void => {};

  constructor(wanted: AgentService, options: AgentServiceControllerOptions) {
    this.wanted = wanted;
    this.options = options;
    this.synced = new Promise((resolve) => {
      this.markSynced = resolve;
    });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { service, endpoints, slice } = agentServiceObjects(this.wanted);
    let left = 3;
    const made = (): void => {
      if (--left === 0) this.markSynced();
    };
    await Promise.all([
      this.keep(SERVICES, service, made, signal),
      this.keep(ENDPOINTS, endpoints, made, signal),
      this.keep(ENDPOINTSLICES, slice, made, signal),
    ]);
    this.markSynced();
  }

  private async keep<T extends KubeObject>(
    resource: Resource<T>,
    wanted: T,
    made: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, logger } = this.options;
    const { namespace, name = '' } = wanted.metadata;
    const informer = new Informer({ ...this.options, resource, namespace, fieldSelector: `metadata.name=${name}` });
    let wake = (): void => {};
    const changed = (): void => wake();
    informer.addHandlers({ add: changed, update: changed, delete: changed });
    const running = informer.run(signal);
    await Promise.race([informer.synced, running]);
    signal.addEventListener('abort', changed, { once: true });
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      const waked = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let wrote = false;
      try {
        wrote = await this.ensure(resource, wanted, informer.get(name, namespace));
      } catch (error) {
        // Such as a cluster address that another Service has: it may be free later.
        logger.warn({ resource: resource.plural, namespace, name, error: messageOf(error) }, 'cannot be made');
        void clock.sleep(PAUSE_MS, signal).then(changed, changed);
      }
      if (isFirst) made();
      if (wrote) await clock.sleep(PAUSE_MS, signal).catch(() => {});
      await waked;
    }
    await running;
  }

  /** One step towards what is wanted, of which the informer tells. @returns whether it made something @throws ApiStatusError */
  private async ensure<T extends KubeObject>(resource: Resource<T>, wanted: T, found: T | undefined): Promise<boolean> {
    const { client } = this.options;
    const { apiVersion: _, kind: __, ...content } = wanted;
    if (found && includes(found, content)) return false;
    try {
      if (found) await this.change(resource, wanted, found);
      else await client.create(resource, wanted);
    } catch (error) {
      if (['AlreadyExists', 'NotFound', 'Conflict'].some((reason) => hasReason(error, reason))) return false;
      throw error;
    }
    return true;
  }

  /** What may not change, such as a cluster address, is made anew. */
  private async change<T extends KubeObject>(resource: Resource<T>, wanted: T, found: T): Promise<void> {
    const { client } = this.options;
    try {
      await client.update(resource, overlaid(found, wanted) as T);
    } catch (error) {
      if (!hasReason(error, 'Invalid')) throw error;
      const { namespace, name = '', labels, annotations } = found.metadata;
      await client.delete(resource, { namespace, name });
      await client.create(resource, overlaid({ metadata: { labels, annotations } }, wanted) as T);
    }
  }
}

/** An object with what is wanted of it in place of what it has, lists wholly. */
function overlaid(found: unknown, wanted: unknown): unknown {
  if (![found, wanted].every((value) => typeof value === 'object' && value !== null && !Array.isArray(value))) {
    return wanted;
  }
  const result: Record<string, unknown> = { ...(found as object) };
  for (const [key, value] of Object.entries(wanted as object)) result[key] = overlaid(result[key], value);
  return result;
}

/** Whether an object has everything that is wanted of it, lists exactly. An empty list may as well be absent. */
function includes(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    const list = found ?? [];
    return (
      Array.isArray(list) && list.length === wanted.length && wanted.every((each, index) => includes(list[index], each))
    );
  }
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (typeof found !== 'object' || found === null) return false;
  return Object.entries(wanted).every(([key, value]) => includes((found as Record<string, unknown>)[key], value));
}
