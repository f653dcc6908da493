import type { Container, Pod } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import type { ProbeType } from '../../kubelet/ports.ts';
import type { UserError } from '../../lib/errors.ts';

/** Makes the error that says what is wrong with one value of a scenario, and where that stands: a flag, or a place in a file. */
export type Complain = (reason: string, hint?: string) => UserError;

/** A container of one of the pods. */
export interface Target {
  readonly pod: Pod;
  readonly container: Container;
  /** It runs to its end before the app containers start. */
  readonly init: boolean;
  /** `POD/CONTAINER`, as scenarios name it. */
  readonly key: string;
}

const PROBE_TYPES: readonly ProbeType[] = ['liveness', 'readiness', 'startup'];

/** The pods of a forecast, as scenarios name them and their parts. */
export class PodTargets {
  readonly pods: readonly Pod[];
  readonly containers: readonly Target[];

  /** @param pods as manifests have them: what is not decoded yet is passed over, the API server will refuse it */
  constructor(pods: readonly Pod[]) {
    this.pods = pods;
    this.containers = pods.flatMap((pod) => {
      const targets = (list: unknown, isInit: boolean): Target[] =>
        (Array.isArray(list) ? (list as Container[]) : [])
          .filter((c) => typeof c?.name === 'string')
          .map((container) => ({
            pod,
            container,
            init: isInit && !isSidecar(container),
            key: `${pod.metadata.name}/${container.name}`,
          }));
      return [...targets(pod.spec?.initContainers, true), ...targets(pod.spec?.containers, false)];
    });
  }

  pod(name: string, complain: Complain): Pod {
    const found = this.pods.find((p) => p.metadata.name === name);
    if (found) return found;
    throw complain(
      `there is no pod ${quote(name)}`,
      `pods here: ${names(this.pods.map((p) => p.metadata.name ?? ''))}`,
    );
  }

  /** @param text `CONTAINER` where one pod alone has it, or `POD/CONTAINER` */
  container(text: string, complain: Complain): Target {
    const found = this.containers.filter((t) => t.key === text || t.container.name === text);
    if (found.length === 1) return found[0]!;
    if (found.length > 1) {
      throw complain(`several pods have a container ${quote(text)}`, `say which: ${names(found.map((t) => t.key))}`);
    }
    throw complain(
      `there is no container ${quote(text)}`,
      `containers here: ${names(this.containers.map((t) => t.key))}`,
    );
  }

  initContainer(text: string, complain: Complain): Target {
    const target = this.container(text, complain);
    if (target.init) return target;
    const inits = this.containers.filter((t) => t.init).map((t) => t.key);
    throw complain(
      `${target.key} is no init container`,
      inits.length === 0 ? 'there are none here' : `init containers here: ${names(inits)}`,
    );
  }

  /** @param text `CONTAINER.PROBE`, or `CONTAINER` for all of its probes; PROBE is liveness, readiness or startup */
  probe(text: string, complain: Complain): { readonly target: Target; readonly probe?: ProbeType } {
    const dot = text.indexOf('.', text.indexOf('/') + 1);
    if (dot < 0) return { target: this.container(text, complain) };
    const target = this.container(text.slice(0, dot), complain);
    const word = text.slice(dot + 1);
    const probe = PROBE_TYPES.find((type) => type === word);
    if (!probe) throw complain(`${quote(word)} is no probe`, `probes are ${names(PROBE_TYPES)}`);
    assertHasProbe(target, probe, complain);
    return { target, probe };
  }
}

/** @throws what `complain` makes when the container has no such probe */
export function assertHasProbe({ container, key }: Target, probe: ProbeType, complain: Complain): void {
  if (container[`${probe}Probe`]) return;
  const there = PROBE_TYPES.filter((type) => container[`${type}Probe`]);
  throw complain(
    `container ${key} has no ${probe} probe`,
    there.length === 0 ? 'it has no probes at all' : `it has ${names(there)}`,
  );
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function names(list: readonly string[]): string {
  return list.length === 0 ? 'none' : list.join(', ');
}
