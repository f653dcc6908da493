import type { Container, Pod } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import type { Checker } from '../checker.ts';
import { followBeginnings } from './begins-anew.ts';

interface Sandbox {
  /** Init containers that have exited with 0. */
  readonly done: Set<string>;
  /** Sidecars that have come up. */
  readonly up: Set<string>;
}

/** Init containers run in order, each once in a sandbox once it has succeeded, and before every app container. */
export function initOrder(): Checker {
  const pods = new Map<string, Pod>();
  const sandboxes = new Map<string, Sandbox>();
  const beginning = followBeginnings();
  const sandboxOf = (id: string): Sandbox => {
    const sandbox = sandboxes.get(id) ?? { done: new Set(), up: new Set() };
    sandboxes.set(id, sandbox);
    return sandbox;
  };
  const initOf = (podUID: string): Container[] => pods.get(podUID)?.spec.initContainers ?? [];
  return {
    name: 'init-order',
    on(fact, report) {
      const anew = beginning(fact);
      if (anew) sandboxes.delete(anew.sandboxId);
      if (fact.what === 'written' && fact.collection === 'pods')
        pods.set(fact.object.metadata.uid!, fact.object as Pod);
      if (fact.what === 'containerExited' && fact.by === 'itself' && fact.exitCode === 0) {
        sandboxOf(fact.sandboxId).done.add(fact.container);
      }
      if (fact.what === 'probed' && fact.probe === 'startup' && fact.outcome === 'success') {
        sandboxOf(fact.sandboxId).up.add(fact.container);
      }
      if (fact.what !== 'containerStarted') return;
      const { pod, container, podUID } = fact;
      const init = initOf(podUID);
      const { done, up } = sandboxOf(fact.sandboxId);
      const position = init.findIndex((c) => c.name === container);
      const own = init[position];
      if (own && isSidecar(own)) {
        if (!own.startupProbe) up.add(container);
      } else if (own && done.has(container)) {
        report(`init container ${pod}/${container} runs again in a sandbox in which it has succeeded`);
      }
      for (const before of position < 0 ? init : init.slice(0, position)) {
        if ((isSidecar(before) ? up : done).has(before.name)) continue;
        report(`${pod}/${container} starts before init container ${before.name} is done`);
      }
    },
  };
}
