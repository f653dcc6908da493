import { getCondition } from '../api/conditions.ts';
import type { Pod, Service } from '../api/generated/types.ts';

/**
 * When the change happened that a write of endpoints tells: the earliest of those that came since the last write, and undefined when
 * none is known. Source: endpointslice/util/trigger_time_tracker.go
 */
export class TriggerTimes {
  private serviceTime: string | undefined;
  private podTimes = new Map<string, string>();

  /** @param pods those that the Service selects */
  next(service: Service, pods: readonly Pod[]): string | undefined {
    const known = this.serviceTime !== undefined;
    const times: string[] = [];
    const podTimes = new Map<string, string>();
    for (const { metadata, status } of pods) {
      const time = getCondition(status?.conditions, 'Ready')?.lastTransitionTime;
      if (!time) continue;
      const uid = metadata.uid ?? '';
      podTimes.set(uid, time);
      if (known && this.podTimes.get(uid) !== time) times.push(time);
    }
    this.podTimes = podTimes;
    const { creationTimestamp } = service.metadata;
    if (creationTimestamp && creationTimestamp !== this.serviceTime) {
      if (!known) times.push(creationTimestamp, ...podTimes.values());
      this.serviceTime = creationTimestamp;
    }
    return times.sort()[0];
  }
}
