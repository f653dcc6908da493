import type { Event } from '../../api/generated/types.ts';
import { EVENTS } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import { parseTime } from '../../api/time.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Registry } from './registry.ts';
import { findResource } from './resource-table.ts';

/** As upstream's --event-ttl. */
const TTL_MS = 3600_000;
const SWEEP_EVERY_MS = 60_000;

/** Forgets events an hour after they last happened. */
export class EventExpiry {
  private readonly registry: Registry;
  private readonly clock: Clock;
  private timer: Timer | undefined;

  constructor(registry: Registry, clock: Clock) {
    this.registry = registry;
    this.clock = clock;
  }

  start(): void {
    this.sweep();
    this.timer = this.clock.setTimer(SWEEP_EVERY_MS, () => this.start());
  }

  stop(): void {
    this.timer?.cancel();
  }

  private sweep(): void {
    const definition = findResource(EVENTS)!;
    const now = this.clock.now();
    for (const { object } of this.registry.store.scan(definition.collection)) {
      if (now - lastSeen(object as Event) < TTL_MS) continue;
      try {
        this.registry.delete(definition, object.metadata.namespace, object.metadata.name!);
      } catch (error) {
        if (!(error instanceof ApiStatusError)) throw error;
        // The disk is full. The next sweep finds what this one leaves.
        return;
      }
    }
  }
}

/** Wall time, ms since the epoch. */
function lastSeen({ metadata, lastTimestamp, eventTime, series }: Event): number {
  const times = [metadata.creationTimestamp, lastTimestamp, eventTime, series?.lastObservedTime];
  return Math.max(...times.map((time) => parseTime(time) ?? 0));
}
