import type { Pod } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort } from '../../lib/errors.ts';
import type { EventRecorder } from '../ports.ts';
import type { HostVolumeManager } from './volume-manager.ts';

/** Upstream's kubelet looks about once a minute; looking costs us little. */
const INTERVAL_MS = 10_000;

/**
 * Brings the changes of ConfigMaps and Secrets, and of pods' own labels and annotations, to the volumes that show them, at most 10 s
 * late. Does nothing for pods without such volumes.
 */
export class VolumeRefresh {
  private readonly volumes: Pick<HostVolumeManager, 'refresh'>;
  private readonly pods: () => readonly Pod[];
  private readonly recorder: EventRecorder;
  private readonly clock: Clock;

  constructor(options: {
    readonly volumes: Pick<HostVolumeManager, 'refresh'>;
    /** The pods that the node runs. */
    readonly pods: () => readonly Pod[];
    readonly recorder: EventRecorder;
    readonly clock: Clock;
  }) {
    this.volumes = options.volumes;
    this.pods = options.pods;
    this.recorder = options.recorder;
    this.clock = options.clock;
  }

  /** Looks every 10 s until the signal aborts; then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.clock.sleep(INTERVAL_MS, signal);
        for (const pod of this.pods()) await this.refresh(pod);
      }
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
  }

  private async refresh(pod: Pod): Promise<void> {
    const failures = await this.volumes.refresh(pod);
    for (const { message } of failures) this.recorder.event(pod, 'Warning', 'FailedMount', message);
  }
}
