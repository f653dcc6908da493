import type { Event, Pod } from '../api/generated/types.ts';
import type { Fact } from './fact.ts';
import { BREAKABLE_CALLS, CALL_FAULTS, CHANGING_CALLS } from './scenario.ts';

/** Events, by what they begin with, and the mark that they stand for. */
const EVENT_MARKS: readonly (readonly [reason: string, text: RegExp, mark: string])[] = [
  ['BackOff', /restarting failed container/, 'crash-loop back-off'],
  ['BackOff', /pulling image/, 'back-off of a pull'],
  ['Failed', /Failed to pull image/, 'failed pull'],
  ['Failed', /Error: something went wrong/, 'container not created'],
  ['Killing', /failed liveness probe/, 'killed by liveness'],
  ['Killing', /^killing$/, 'killed so that all start anew'],
  ['Killing', /failed startup probe/, 'killed by startup'],
  ['Unhealthy', /Readiness probe failed/, 'readiness failed'],
  ['Unhealthy', /errored and resulted in unknown state/, 'the prober itself failed'],
  ['Unhealthy', /deadline exceeded|timeout|timed out/, 'probe timed out'],
  ['FailedPreStopHook', /./, 'preStop failed'],
  ['FailedPostStartHook', /./, 'postStart failed'],
  ['SandboxChanged', /./, 'sandbox replaced'],
  ['FailedCreatePodSandBox', /./, 'sandbox not created'],
  ['DeadlineExceeded', /./, 'active deadline exceeded'],
  ['FailedScheduling', /./, 'no node at first'],
];

const DEATHS = CHANGING_CALLS.flatMap((call) => [`agent died before ${call}`, `agent died after ${call}`]);
const BROKEN_CALLS = BREAKABLE_CALLS.flatMap((call) => CALL_FAULTS.map((how) => `${call} ${how}`));

/** What a set of runs was built to reach: `make sim` fails when any of it was never seen. */
export const EXPECTED_MARKS: readonly string[] = [
  ...new Set(EVENT_MARKS.map(([, , mark]) => mark)),
  ...DEATHS,
  ...BROKEN_CALLS,
  'agent died with a container created and not started',
  'agent died while a pod was terminating',
  'agent died while a container ran',
  'agent did not start: disk full',
  'container exited while the agent was away',
  'pod deleted with force while it ran',
  'grace period shortened',
  'killed after its grace period',
  'out of memory',
  'init container failed',
  'init container started again',
  'container created early',
  'start error',
  'power cut took back writes',
  'power cut between two writes of one moment',
  'wall clock set back',
  'wall clock set forward',
  'runtime died',
  'runtime died while the agent was away',
  'container ended by itself',
  'container ended when asked',
  'pod succeeded',
  'pod failed',
  'sandbox killed',
  'event lose',
  'event double',
  'event delay',
  'event overtake',
  'disk refuses a write',
  'disk refuses files of a pod',
  'watch end',
  'watch expire',
  'watch fail',
  'write conflict',
  'write fail',
  'write loseAnswer',
];

/** Collects, over any number of runs, which rare branches were reached; from what happened, without a word in the code under test. */
export class Marks {
  readonly reached = new Set<string>();

  /** A watcher for one run. */
  watch(): (fact: Fact) => void {
    const created = new Set<string>();
    const running = new Set<string>();
    const terminating = new Set<string>();
    let isAway = true;
    /** When each of the newest revisions was written. */
    const writtenAt = new Map<number, number>();
    const mark = (name: string, when: unknown = true): void => {
      if (when) this.reached.add(name);
    };
    return (fact) => {
      switch (fact.what) {
        case 'agentStarted':
          isAway = false;
          return;
        case 'agentDied':
          isAway = true;
          mark(`agent died ${fact.at}`, fact.at);
          mark('agent died with a container created and not started', created.size > 0);
          mark('agent died while a pod was terminating', terminating.size > 0);
          mark('agent died while a container ran', running.size > 0);
          return;
        case 'agentFailed':
          mark('agent did not start: disk full');
          return;
        case 'containerCreated':
          mark('container created early', running.size > 0);
          created.add(fact.containerId);
          return;
        case 'containerNotStarted':
          mark('start error');
          created.delete(fact.containerId);
          return;
        case 'containerRemoved':
          created.delete(fact.containerId);
          return;
        case 'containerStarted':
          created.delete(fact.containerId);
          running.add(fact.containerId);
          mark('init container started again', fact.container.startsWith('i') && fact.attempt > 0);
          return;
        case 'containerExited':
          running.delete(fact.containerId);
          mark('container exited while the agent was away', isAway);
          mark('killed after its grace period', fact.by === 'SIGKILL' && !isAway);
          mark('container ended by itself', fact.by === 'itself');
          mark('container ended when asked', fact.by === 'SIGTERM');
          mark('out of memory', fact.oom);
          mark('init container failed', fact.container.startsWith('i') && fact.exitCode !== 0 && fact.by === 'itself');
          return;
        case 'deletionAsked':
          mark('pod deleted with force while it ran', running.size > 0 && fact.graceSeconds === 0);
          return;
        case 'powerCut':
          mark('power cut took back writes', fact.lost.length > 0);
          mark(
            'power cut between two writes of one moment',
            writtenAt.has(fact.lost[0]! - 1) && writtenAt.get(fact.lost[0]! - 1) === writtenAt.get(fact.lost[0]!),
          );
          return;
        case 'wallJumped':
          mark(`wall clock set ${fact.ms < 0 ? 'back' : 'forward'}`);
          return;
        case 'runtimeDied':
          mark('runtime died');
          mark('runtime died while the agent was away', isAway);
          return;
        case 'fault':
          mark(fact.name);
          return;
        case 'written':
          writtenAt.set(fact.revision, fact.atMs);
          if (fact.collection === 'events' && !fact.before) this.markEvent(fact.object as Event);
          if (fact.collection !== 'pods') return;
          markPod(fact.object as Pod, fact.before as Pod | undefined, mark);
          if (fact.object.metadata.deletionTimestamp) {
            terminating.add(fact.key);
          }
          if (fact.removed) terminating.delete(fact.key);
      }
    };
  }

  private markEvent({ reason, message = '' }: Event): void {
    for (const [wanted, text, mark] of EVENT_MARKS) {
      if (reason === wanted && text.test(message)) this.reached.add(mark);
    }
  }
}

function markPod(pod: Pod, before: Pod | undefined, mark: (name: string, when: unknown) => void): void {
  const [now, old] = [pod, before].map((p) => p?.metadata.deletionGracePeriodSeconds);
  mark('grace period shortened', now !== undefined && old !== undefined && now < old && now > 0);
  mark('pod succeeded', pod.status?.phase === 'Succeeded');
  mark('pod failed', pod.status?.phase === 'Failed');
}
