import type { Container, ContainerStatus, Pod } from '../../api/generated/types.ts';
import type { Checker } from '../checker.ts';
import { containerSpec } from '../sim-node.ts';

interface Life {
  exitCode: number | undefined;
  /** Whether a readiness check has ever succeeded. */
  wasReady: boolean;
  wasStarted: boolean;
}

/** Statuses tell what was: nobody is ready, running or ended in them who was not; and an end is final. */
export function truthfulStatus(): Checker {
  const lives = new Map<string, Life>();
  const check = (pod: string, spec: Container | undefined, s: ContainerStatus, report: (m: string) => void): void => {
    const name = `${pod}/${s.name}`;
    const running = s.state?.running ? lives.get(idOf(s.containerID)) : undefined;
    if (s.state?.running && !running) report(`${name} is shown as running, but ${s.containerID} was never started`);
    if (s.ready && spec?.readinessProbe && running && !running.wasReady) {
      report(`${name} is shown as ready before any readiness check of it has succeeded`);
    }
    if (s.started && spec?.startupProbe && running && !running.wasStarted) {
      report(`${name} is shown as started before its startup probe has succeeded`);
    }
    const ended = s.state?.terminated;
    const exitCode = ended && lives.get(idOf(ended.containerID))?.exitCode;
    if (exitCode !== undefined && ended!.exitCode !== exitCode) {
      report(`${name} is shown as ended with ${ended!.exitCode}, but ended with ${exitCode}`);
    }
  };
  return {
    name: 'truthful-status',
    on(fact, report) {
      if (fact.what === 'containerStarted') {
        lives.set(fact.containerId, { exitCode: undefined, wasReady: false, wasStarted: false });
      }
      if (fact.what === 'containerExited') lives.get(fact.containerId)!.exitCode = fact.exitCode;
      if (fact.what === 'probed' && fact.outcome === 'success') {
        const life = lives.get(fact.containerId);
        if (life && fact.probe === 'readiness') life.wasReady = true;
        if (life && fact.probe === 'startup') life.wasStarted = true;
      }
      if (fact.what !== 'written' || fact.collection !== 'pods') return;
      const pod = fact.object as Pod;
      const { initContainerStatuses = [], containerStatuses = [], phase } = pod.status ?? {};
      for (const s of containerStatuses) check(fact.key, containerSpec(pod, s.name), s, report);
      for (const s of initContainerStatuses) {
        const spec = containerSpec(pod, s.name);
        // A plain init container is ready when it is done.
        check(fact.key, spec?.restartPolicy === 'Always' ? spec : undefined, s, report);
      }
      const before = (fact.before as Pod | undefined)?.status?.phase;
      if ((before === 'Succeeded' || before === 'Failed') && phase !== before) {
        report(`pod ${fact.key} was ${before} and is now ${phase}`);
      }
    },
  };
}

function idOf(containerID: string | undefined): string {
  return containerID?.replace(/^.*:\/\//, '') ?? '';
}
