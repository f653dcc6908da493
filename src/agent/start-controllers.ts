import type { KubeClient } from '../client/kube-client.ts';
import { EndpointSliceController } from '../controllers/endpoint-slice-controller.ts';
import { LoadBalancerController } from '../controllers/load-balancer-controller.ts';
import { Scheduler } from '../controllers/scheduler.ts';
import { ApiEventRecorder } from '../kubelet/events/event-recorder.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';

/** Starts what keeps the API's objects as each other want them: kube-controller-manager's part, and the scheduler's. */
export function startControllers(
  given: {
    readonly client: KubeClient;
    readonly nodeName: string;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly traces: PodTraces;
  },
  started: AsyncDisposableStack,
): void {
  const options = (component: string) => ({ ...given, logger: given.logger.child({ component }) });
  const endpoints = options('endpointslice-controller');
  const events = new ApiEventRecorder({ ...endpoints, component: 'endpointslice-controller' });
  const stopping = new AbortController();
  const running = Promise.all([
    new Scheduler(options('scheduler')).run(stopping.signal),
    new EndpointSliceController({ ...endpoints, events }).run(stopping.signal),
    new LoadBalancerController(options('service-lb-controller')).run(stopping.signal),
  ]);
  started.defer(async () => {
    stopping.abort();
    await running;
  });
}
