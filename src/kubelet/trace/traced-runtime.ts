import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { PodTraces, TraceSubject } from '../../lib/pod-traces.ts';

/**
 * The runtime as it is, with the calls about pods recorded in their traces, and noted whose the ids are that it gives. No call
 * returns later for that.
 */
export function tracedRuntime(runtime: RuntimeService, traces: PodTraces): RuntimeService {
  const ofId = <T>(id: string, name: string, call: () => Promise<T>): Promise<T> =>
    traces.measure(traces.subjectOf(id), name, call);
  const traced: Partial<RuntimeService> = {
    runPodSandbox(config, runtimeHandler, options) {
      const subject: TraceSubject = { podUID: config.metadata?.uid ?? '', sandbox: true };
      const call = () =>
        first(runtime.runPodSandbox(config, runtimeHandler, options), (id) => {
          traces.named(id, subject);
          traces.started(subject);
        });
      return traces.measure(subject, 'RunPodSandbox', call);
    },
    createContainer(sandboxId, config, sandboxConfig, options) {
      const { name, attempt } = config.metadata ?? {};
      const subject = { podUID: sandboxConfig.metadata?.uid ?? '', container: name, restartCount: attempt };
      const call = () =>
        first(runtime.createContainer(sandboxId, config, sandboxConfig, options), (id) => traces.named(id, subject));
      return traces.measure(subject, 'CreateContainer', call);
    },
    startContainer(id, options) {
      const subject = traces.subjectOf(id);
      const call = () => first(runtime.startContainer(id, options), () => traces.started(subject));
      return traces.measure(subject, 'StartContainer', call);
    },
    containerStatus: (id, options) => ofId(id, 'ContainerStatus', () => runtime.containerStatus(id, options)),
    stopContainer: (id, timeoutSeconds, options) =>
      ofId(id, 'StopContainer', () => runtime.stopContainer(id, timeoutSeconds, options)),
    removeContainer(id, options) {
      // Long after what else was done with it.
      const { podUID, container } = traces.subjectOf(id) ?? {};
      const call = () => runtime.removeContainer(id, options);
      return traces.measure(podUID === undefined ? undefined : { podUID }, 'RemoveContainer', call, container);
    },
    podSandboxStatus: (id, options) => ofId(id, 'PodSandboxStatus', () => runtime.podSandboxStatus(id, options)),
    stopPodSandbox: (id, options) => ofId(id, 'StopPodSandbox', () => runtime.stopPodSandbox(id, options)),
  };
  return new Proxy(runtime, {
    get: (target, name) => Reflect.get(name in traced ? traced : target, name),
  });
}

/** Calls `then` with the result before anybody else hears of it. */
function first<T>(result: Promise<T>, then: (value: T) => void): Promise<T> {
  void result.then(then, () => {});
  return result;
}
