import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Container, Pod, Probe } from '../../api/generated/types.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLogger } from '../../lib/logger.ts';
import { PodTraces } from '../../lib/pod-traces.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';
import type { Attempt, AttemptInput } from './attempt.ts';
import { DefaultProbeManager } from './probe-manager.ts';

const EPOCH = Date.UTC(2026, 0, 1);
const exec = { command: ['true'] };
const ok: Attempt = { outcome: 'success', output: 'fine' };
const bad: Attempt = { outcome: 'failure', output: 'HTTP probe failed with statuscode: 500' };
const broken: Attempt = { outcome: 'error', output: 'no such binary' };

function podWith(...containers: Partial<Container>[]): Pod {
  return {
    metadata: { name: 'p', namespace: 'ns', uid: 'u' },
    spec: { containers: containers.map((c, i) => ({ name: `c${i}`, ...c })) },
  } as Pod;
}

function running(id: string, startedAt: number, name = 'c0'): ContainerRuntimeStatus {
  return { id, name, state: 'running', startedAt } as ContainerRuntimeStatus;
}

function observed(...containers: ContainerRuntimeStatus[]): PodRuntimeStatus {
  const sandbox = { id: 's', attempt: 0, ready: true, createdAt: 0, ips: ['10.0.0.9'], hostNetwork: false };
  return { podUID: 'u', namespace: 'ns', name: 'p', sandboxes: [sandbox], containers };
}

let clock: FakeClock;
let hostIP: string;
let checks: { at: number; type: string; input: AttemptInput }[];
let events: string[];
let verdicts: string[];
/** What the next attempts come to: by probe, else success at once. */
let answer: (input: AttemptInput) => Attempt | Promise<Attempt>;

function newManager(): DefaultProbeManager {
  return new DefaultProbeManager({
    clock,
    logger: silentLogger,
    traces: new PodTraces(clock),
    get hostIP() {
      return hostIP;
    },
    recorder: {
      event: (_pod, type, reason, message, container) => events.push([type, reason, container, message].join(' ')),
    },
    onVerdict: (podUID, container, type, verdict) => verdicts.push([podUID, container, type, verdict].join(' ')),
    prober: async (input) => {
      const type = Object.keys(input.container).find((k) => input.container[k as keyof Container] === input.probe)!;
      checks.push({ at: clock.monotonic(), type, input });
      return await answer(input);
    },
  });
}

beforeEach(() => {
  clock = new FakeClock(EPOCH);
  hostIP = '192.0.2.1';
  checks = [];
  events = [];
  verdicts = [];
  answer = () => ok;
});

const times = (): number[] => checks.map((c) => c.at);

describe('ProbeManager', () => {
  it('checks at startedAt + initialDelay and then every period, without drift', async () => {
    const manager = newManager();
    const pod = podWith({ readinessProbe: { exec, initialDelaySeconds: 3, periodSeconds: 5 } });
    await clock.advance(700);
    manager.syncPod(pod, observed(running('a', EPOCH + 500)), false);
    await clock.advance(20_000);
    expect(times()).toEqual([3500, 8500, 13_500, 18_500]);
    manager.removePod('u');
    expect(clock.pendingTimers).toBe(0);
  });

  it('checks at once when the container was seen only after its first check was due', async () => {
    const manager = newManager();
    await clock.advance(250);
    manager.syncPod(
      podWith({ readinessProbe: { exec, periodSeconds: 1 } }),
      observed(running('a', EPOCH + 100)),
      false,
    );
    await clock.advance(2000);
    expect(times()).toEqual([250, 1100, 2100]);
  });

  it('looks again soon, and counts nothing, while a container that has just started does not listen yet', async () => {
    answer = () => (clock.monotonic() < 60 ? { outcome: 'failure', output: 'refused', refused: true } : ok);
    const manager = newManager();
    const pod = podWith({ readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 } });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(2500);
    expect(times()).toEqual([0, 2, 6, 14, 30, 62, 1000, 2000]);
    expect(events).toEqual([]);
    expect(verdicts).toEqual(['u c0 readiness success']);
    expect(manager.records('u')[0]!.results).toHaveLength(3);
  });

  it('counts a refused connection once a container has had a second to listen', async () => {
    answer = () => ({ outcome: 'failure', output: 'refused', refused: true });
    const manager = newManager();
    const pod = podWith({ livenessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 2 } });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(999);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual(['Warning Unhealthy c0 Liveness probe failed: refused']);
    expect(verdicts).toEqual([]);
    await clock.advance(1000);
    expect(times().slice(-2)).toEqual([1000, 2000]);
    expect(verdicts).toEqual(['u c0 liveness failure']);
    manager.removePod('u');
    expect(clock.pendingTimers).toBe(0);
  });

  it('does nothing more when the same observation comes again', async () => {
    const manager = newManager();
    const pod = podWith({ readinessProbe: { exec, periodSeconds: 1 } });
    for (let i = 0; i < 9; i++) {
      manager.syncPod(pod, observed(running('a', EPOCH)), false);
      await clock.advance(100);
    }
    expect(times()).toEqual([0]);
  });

  it('skips what falls due while a check runs', async () => {
    answer = async () => {
      await clock.sleep(2500);
      return ok;
    };
    const manager = newManager();
    manager.syncPod(podWith({ readinessProbe: { exec, periodSeconds: 1 } }), observed(running('a', EPOCH)), false);
    await clock.advance(7000);
    expect(times()).toEqual([0, 3000, 6000]);
  });

  it('turns ready after successThreshold, unready after failureThreshold, and tells each change once', async () => {
    const manager = newManager();
    const probe: Probe = { exec, periodSeconds: 1, successThreshold: 2, failureThreshold: 2 };
    manager.syncPod(podWith({ readinessProbe: probe }), observed(running('a', EPOCH)), false);
    expect(manager.verdict('u', 'a', 'readiness')).toBe('failure');
    await clock.advance(500);
    expect(manager.verdict('u', 'a', 'readiness')).toBe('failure');
    await clock.advance(1000);
    expect(manager.verdict('u', 'a', 'readiness')).toBe('success');
    answer = () => bad;
    await clock.advance(3000);
    expect(verdicts).toEqual(['u c0 readiness success', 'u c0 readiness failure']);
    expect(manager.verdict('u', 'a', 'liveness')).toBe('success');
  });

  it('holds liveness and readiness back until startup succeeds, and then begins them at once', async () => {
    let up = false;
    answer = () => (up ? ok : bad);
    const manager = newManager();
    const every = (periodSeconds: number): Probe => ({ exec, periodSeconds, failureThreshold: 30 });
    const pod = podWith({
      startupProbe: every(2),
      livenessProbe: every(10),
      readinessProbe: { ...every(10), initialDelaySeconds: 6 },
    });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(3000);
    up = true;
    await clock.advance(12_000);
    expect(checks.map((c) => `${c.type} ${c.at}`)).toEqual([
      'startupProbe 0',
      'startupProbe 2000',
      'startupProbe 4000',
      'livenessProbe 4000',
      'readinessProbe 6000',
      'livenessProbe 14000',
    ]);
  });

  it('rests after a failed startup or liveness until there is a new container, and remembers what killed the old one', async () => {
    answer = () => bad;
    const manager = newManager();
    const pod = podWith({ livenessProbe: { exec, periodSeconds: 1, failureThreshold: 2 } });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(5000);
    expect(times()).toEqual([0, 1000]);
    expect(manager.verdict('u', 'a', 'liveness')).toBe('failure');
    const exited = { ...running('a', EPOCH), state: 'exited' } as ContainerRuntimeStatus;
    manager.syncPod(pod, observed(exited), false);
    answer = () => ok;
    manager.syncPod(pod, observed(running('b', EPOCH + 5000), exited), false);
    await clock.advance(100);
    expect(manager.verdict('u', 'b', 'liveness')).toBe('success');
    const [current, killer] = manager.records('u');
    expect(current).toMatchObject({ containerId: 'b', verdict: 'success', nextAt: EPOCH + 6000 });
    expect(killer).toMatchObject({ containerId: 'a', verdict: 'failure', consecutive: 2, nextAt: undefined });
    expect(killer!.results.map((r) => r.at)).toEqual([EPOCH + 1000, EPOCH]);
  });

  it('keeps a bounded number of results, newest first', async () => {
    const manager = newManager();
    manager.syncPod(podWith({ readinessProbe: { exec, periodSeconds: 1 } }), observed(running('a', EPOCH)), false);
    await clock.advance(50_000);
    const results = manager.records('u')[0]!.results;
    expect(results).toHaveLength(20);
    expect(results[0]).toEqual({ at: EPOCH + 50_000, latencyMs: 0, outcome: 'success', output: 'fine' });
    expect(results.map(({ at }) => (EPOCH + 50_000 - at) / 1000)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('tries up to three times when the prober itself fails, tells it in the words of 1.36, and counts it for nothing', async () => {
    const manager = newManager();
    const pod = podWith({ livenessProbe: { exec, periodSeconds: 1, failureThreshold: 1 } });
    answer = () => broken;
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(100);
    expect(times()).toEqual([0, 0, 0]);
    expect(events).toEqual([
      'Warning Unhealthy c0 Liveness probe errored and resulted in unknown state: no such binary',
    ]);
    expect(manager.verdict('u', 'a', 'liveness')).toBe('success');
    expect(manager.records('u')[0]!.results).toMatchObject([{ outcome: 'unknown', output: 'no such binary' }]);
    let failures = 0;
    answer = () => (failures++ === 0 ? broken : ok);
    await clock.advance(1000);
    expect(times().slice(3)).toEqual([1000, 1000]);
    expect(events).toHaveLength(1);
  });

  it('writes the events of failures and warnings as recorded from 1.36', async () => {
    const manager = newManager();
    answer = (input) => (input.probe.periodSeconds === 7 ? bad : { outcome: 'warning', output: 'elsewhere' });
    const pod = podWith({ readinessProbe: { exec, periodSeconds: 7 }, livenessProbe: { exec } });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(10);
    expect(events).toEqual([
      'Warning ProbeWarning c0 Liveness probe warning: elsewhere',
      'Warning Unhealthy c0 Readiness probe failed: HTTP probe failed with statuscode: 500',
    ]);
    const traces = readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8');
    expect(traces).toContain('"Liveness probe failed: HTTP probe failed with statuscode: 404"');
    expect(traces).toContain(
      '"Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = ',
    );
  });

  describe('lateness of our own', () => {
    const timeout: Attempt = { outcome: 'failure', output: 'context deadline exceeded', ownTime: true };
    const pod = podWith({ livenessProbe: { exec, periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 1 } });

    async function verdictAfter(stallMs: number, result: Attempt): Promise<string> {
      answer = async () => {
        clock.stall(stallMs);
        await clock.sleep(1000 - stallMs);
        return result;
      };
      const manager = newManager();
      manager.syncPod(pod, observed(running('a', EPOCH)), false);
      await clock.advance(1500);
      expect(manager.records('u')[0]!.results).toHaveLength(1);
      return `${manager.verdict('u', 'a', 'liveness')} ${manager.records('u')[0]!.results[0]!.outcome} ${events.length}`;
    }

    it('makes a time-out unknown when it took more than a tenth of the time-out', async () => {
      expect(await verdictAfter(300, timeout)).toBe('success unknown 0');
    });

    it('does not excuse a container that had nine tenths of its time', async () => {
      expect(await verdictAfter(80, timeout)).toBe('failure failure 1');
    });

    it('does not excuse an answer', async () => {
      expect(await verdictAfter(300, bad)).toBe('failure failure 1');
    });
  });

  describe('a restart of the agent', () => {
    const pod = podWith({
      startupProbe: { exec, periodSeconds: 1 },
      readinessProbe: { exec, periodSeconds: 10, failureThreshold: 2 },
    });

    const status = { name: 'c0', containerID: 'containerd://a', ready: true, started: true };
    const known = { ...pod, status: { containerStatuses: [status] } } as Pod;

    it('keeps Ready and Started of a container that started before, and goes on in the rhythm of its probes', async () => {
      answer = () => bad;
      const manager = newManager();
      manager.syncPod(known, observed(running('a', EPOCH - 63_000)), false);
      expect(manager.verdict('u', 'a', 'startup')).toBe('success');
      expect(manager.verdict('u', 'a', 'readiness')).toBe('success');
      await clock.advance(10_000);
      expect(manager.verdict('u', 'a', 'readiness')).toBe('success');
      await clock.advance(10_000);
      expect(times()).toEqual([7000, 17_000]);
      expect(manager.verdict('u', 'a', 'readiness')).toBe('failure');
    });

    it('takes a status for the instance it is of, and for no other', () => {
      const manager = newManager();
      manager.syncPod(known, observed(running('a', EPOCH - 5000)), false);
      expect(manager.verdict('u', 'a', 'readiness')).toBe('success');
      manager.syncPod(known, observed(running('b', EPOCH + 1), running('a', EPOCH - 5000)), false);
      expect(manager.verdict('u', 'b', 'readiness')).toBe('failure');
      expect(manager.verdict('u', 'b', 'startup')).toBe('unknown');
    });
  });

  it('stops liveness and startup of a terminating pod, and lets readiness go on until the container stops', async () => {
    const manager = newManager();
    const every = (): Probe => ({ exec, periodSeconds: 1 });
    const pod = podWith({ livenessProbe: every(), readinessProbe: every() }, { startupProbe: every() });
    answer = (input) => (input.container.name === 'c1' ? bad : ok);
    const both = (): PodRuntimeStatus => observed(running('a', EPOCH), running('b', EPOCH, 'c1'));
    manager.syncPod(pod, both(), false);
    await clock.advance(500);
    checks = [];
    answer = () => bad;
    manager.syncPod(pod, both(), true);
    await clock.advance(3000);
    expect(new Set(checks.map((c) => c.type))).toEqual(new Set(['readinessProbe']));
    expect(manager.verdict('u', 'a', 'readiness')).toBe('failure');
    expect(manager.verdict('u', 'a', 'liveness')).toBe('success');
    expect(manager.verdict('u', 'b', 'startup')).toBe('unknown');
    manager.syncPod(pod, observed({ ...running('a', EPOCH), state: 'exited' }), true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('drops the result of a check whose container ended meanwhile, and cancels it', async () => {
    answer = async (input) => {
      await new Promise((resolve) => input.signal.addEventListener('abort', resolve));
      return bad;
    };
    const manager = newManager();
    const pod = podWith({ livenessProbe: { exec, failureThreshold: 1 } });
    manager.syncPod(pod, observed(running('a', EPOCH)), false);
    await clock.advance(10);
    manager.syncPod(pod, observed({ ...running('a', EPOCH), state: 'exited' }), false);
    await clock.advance(10);
    expect(events).toEqual([]);
    expect(manager.verdict('u', 'a', 'liveness')).toBe('success');
    expect(clock.pendingTimers).toBe(0);
  });

  it('probes sidecars, and neither plain init containers nor containers without probes', async () => {
    const manager = newManager();
    const pod = podWith({ readinessProbe: { exec } }, {});
    pod.spec.initContainers = [
      { name: 'side', restartPolicy: 'Always', startupProbe: { exec } },
      { name: 'plain' },
    ] as Container[];
    manager.syncPod(
      pod,
      observed(running('a', EPOCH), running('s', EPOCH, 'side'), running('x', EPOCH, 'plain')),
      false,
    );
    await clock.advance(10);
    expect(manager.records('u').map((r) => `${r.container} ${r.type}`)).toEqual(['side startup', 'c0 readiness']);
  });

  it('probes a pod on the network of the host at the address of the node', async () => {
    const manager = newManager();
    const status = observed(running('a', EPOCH));
    const sandboxes = [{ ...status.sandboxes[0]!, ips: [], hostNetwork: true }];
    manager.syncPod(podWith({ readinessProbe: { exec } }), { ...status, sandboxes }, false);
    await clock.advance(10);
    expect(checks[0]!.input.podIP).toBe('192.0.2.1');
    hostIP = '198.51.100.1';
    await clock.advance(10_000);
    expect(checks.at(-1)!.input.podIP).toBe('198.51.100.1');
  });
});
