import type { Pod } from '../api/generated/types.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import type { BackOffPolicy } from '../lib/back-off.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import type { Pleg } from './pleg/pleg.ts';
import type {
  ContainerConfigFactory,
  ContainerGC,
  EventRecorder,
  HookRunner,
  HostPortManager,
  ImageManager,
  NodeSettings,
  PodCgroups,
  ProbeManager,
  VolumeManager,
} from './ports.ts';
import type { StatusManager } from './status/status-manager.ts';

/** What every pod worker works with. */
export interface KubeletParts {
  readonly runtime: RuntimeService;
  readonly pleg: Pleg;
  readonly images: ImageManager;
  readonly probes: ProbeManager;
  readonly hooks: HookRunner;
  readonly volumes: VolumeManager;
  readonly configs: ContainerConfigFactory;
  readonly cgroups: PodCgroups;
  readonly hostPorts: HostPortManager;
  readonly gc: ContainerGC;
  readonly recorder: EventRecorder;
  readonly statuses: StatusManager;
  readonly traces: PodTraces;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: NodeSettings;
  /** Marks what is ours in a runtime that others may use too. */
  readonly owner: string;
  readonly restartBackOff: BackOffPolicy;
  /** Called before a terminating pod's containers are signalled; once it resolves, no traffic is routed to the pod any more. */
  readonly beforeStop?: ((pod: Pod) => Promise<void>) | undefined;
}
