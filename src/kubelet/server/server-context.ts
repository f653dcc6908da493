import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodTraces } from '../../lib/pod-traces.ts';
import type { PullFeed } from '../images/pull-feed.ts';
import type { PodLookup, ProbeManager } from '../ports.ts';

/** What the handlers of the kubelet's API work with. */
export interface ServerContext {
  readonly lookup: PodLookup;
  readonly runtime: RuntimeService;
  readonly probes: ProbeManager;
  readonly pulls: Pick<PullFeed, 'ask'>;
  readonly traces: Pick<PodTraces, 'sections'>;
  readonly clock: Clock;
  readonly logger: Logger;
}
