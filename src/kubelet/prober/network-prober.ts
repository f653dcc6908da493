import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Prober } from './attempt.ts';
import { execProbe } from './exec-probe.ts';
import { grpcProbe } from './grpc-probe.ts';
import { httpProbe } from './http-probe.ts';
import { tcpProbe } from './tcp-probe.ts';

/** The prober that checks real containers: over the network, and by exec through the runtime. */
export function networkProber(clock: Clock, runtime: RuntimeService): Prober {
  return async (input) => {
    const { exec, httpGet, tcpSocket, grpc } = input.probe;
    try {
      if (exec) return await execProbe(exec, input, runtime);
      if (!input.podIP && !httpGet?.host && !tcpSocket?.host) return { outcome: 'error', output: 'the pod has no IP' };
      if (httpGet) return await httpProbe(httpGet, input, clock);
      if (tcpSocket) return await tcpProbe(tcpSocket, input, clock);
      if (grpc) return await grpcProbe(grpc, input, clock);
      return {
        outcome: 'error',
        output: `missing probe handler for ${input.pod.metadata.name}:${input.container.name}`,
      };
    } catch (error) {
      return { outcome: 'error', output: messageOf(error) };
    }
  };
}
