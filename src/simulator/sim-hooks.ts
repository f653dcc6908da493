import type { Container, LifecycleHandler } from '../api/generated/types.ts';
import type { HookRunner } from '../kubelet/ports.ts';

/** Hooks without a network: a request is answered at once, as a command would be. */
export function simHooks(runner: HookRunner): HookRunner {
  return {
    run: (pod, container, containerId, hook, podIP, signal) =>
      runner.run(pod, withoutRequests(container), containerId, hook, podIP, signal),
  };
}

function withoutRequests(container: Container): Container {
  const { postStart, preStop } = container.lifecycle ?? {};
  if (!postStart?.httpGet && !preStop?.httpGet) return container;
  const answered = (handler: LifecycleHandler): LifecycleHandler =>
    handler.httpGet ? { exec: { command: ['true'] } } : handler;
  return {
    ...container,
    lifecycle: {
      ...(postStart ? { postStart: answered(postStart) } : {}),
      ...(preStop ? { preStop: answered(preStop) } : {}),
    },
  };
}
