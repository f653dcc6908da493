import { describe, expect, it } from 'vitest';
import { watchForLeaks } from '../../../test/sim/watch-for-leaks.ts';
import type { Pod } from '../../api/generated/types.ts';
import { readManifest } from '../../api/manifest.ts';
import type { KubeObject } from '../../api/resources.ts';
import { computeForecast } from './compute-forecast.ts';
import type { Forecast, Step, StepKind } from './forecast.ts';
import { PodTargets } from './pod-targets.ts';
import { addScenarioFile } from './scenario-file.ts';
import { WhatIf } from './what-if.ts';
import { addFlags, type WhatIfFlags } from './what-if-flags.ts';

const LIVENESS = 'livenessProbe: { httpGet: { path: /live, port: 80 }, periodSeconds: 2 }';
const READINESS = 'readinessProbe: { httpGet: { path: /ready, port: 80 }, periodSeconds: 2 }';
const pod = (name: string, spec: string): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, labels: { app: web } }\nspec:\n  ${spec.trim()}\n---\n`;
const WEB = `containers: [{ name: app, image: "web:1", ${LIVENESS}, ${READINESS} }]`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
`;

async function run(manifest: string, flags: WhatIfFlags = {}, scenario = ''): Promise<Forecast> {
  const objects = readManifest(manifest, 'm.yaml').map((m) => m.object);
  const targets = new PodTargets(objects.filter((o: KubeObject) => o.kind === 'Pod') as Pod[]);
  const whatIf = new WhatIf();
  addScenarioFile(whatIf, targets, scenario, 's.yaml');
  addFlags(whatIf, targets, flags);
  const creator = { refused: (_: KubeObject, error: Error) => expect.unreachable(error.message), warned: () => {} };
  return await computeForecast({ objects, targets, whatIf, creator });
}

const at = ({ steps }: Forecast, kind: StepKind, pick: (step: Step) => boolean = () => true): number[] =>
  steps.filter((s) => s.kind === kind && pick(s)).map((s) => s.atMs);
const of = (name: string) => (step: Step) => step.container === name;

describe('a forecast', () => {
  it('is the same each time, to the byte, and asks the real world for nothing', async () => {
    const manifest = SERVICE + pod('a', WEB) + pod('b', WEB);
    const flags = { fail: ['a/app@20s=hang'], killAgent: ['30s'] };
    const watch = watchForLeaks({ everything: true });
    let first: Forecast;
    let leaks: string[] = [];
    try {
      first = await run(manifest, flags);
    } finally {
      leaks = watch.stop();
    }
    expect(leaks).toEqual([]);
    expect(JSON.stringify(await run(manifest, flags))).toBe(JSON.stringify(first));
  });

  it('a container whose exit lets all start anew, the init containers that are done and removed included', async () => {
    const rules = '[{ action: RestartAllContainers, exitCodes: { operator: In, values: [42] } }]';
    const spec = `
  restartPolicy: Never
  initContainers: [{ name: i, image: "web:1" }]
  containers:
  - { name: a, image: "web:1", restartPolicy: Never, restartPolicyRules: ${rules} }
  - { name: b, image: "web:1" }`;
    const forecast = await run(pod('p', spec), {}, 'containers: { a: { runsFor: 2s, exitCode: 42, fails: 1 } }');
    expect(forecast.containers.map((c) => [c.container, c.restarts])).toEqual([
      ['i', 1],
      ['a', 1],
      ['b', 1],
    ]);
    expect(forecast.pods).toMatchObject([{ restarts: 3, phase: 'Running' }]);
    expect(at(forecast, 'problem', of('i'))).toHaveLength(1);
    expect(at(forecast, 'agentDied')).toEqual([]);
  });

  it('an init container that fails twice: again at once, then after 10 s', async () => {
    const spec =
      'initContainers: [{ name: i, image: busybox, command: [sleep, "4"] }]\n  containers: [{ name: app, image: web }]';
    const forecast = await run(pod('p', spec), { initFails: ['i:2'] });
    const [first, second, third] = at(forecast, 'started', of('i'));
    const exits = at(forecast, 'exited', of('i'));
    expect(exits.map((ms, i) => ms - [first, second, third][i]!)).toEqual([4000, 4000, 4000]);
    // busybox:latest is pulled anew each time.
    expect(second! - exits[0]!).toBeLessThan(1000);
    expect(third! - exits[1]!).toBeGreaterThanOrEqual(10_000);
    expect(third! - exits[1]!).toBeLessThan(11_000);
    expect(at(forecast, 'started', of('app'))[0]! - exits[2]!).toBeLessThan(200);
    const [backOff] = forecast.steps.filter((s) => s.kind === 'backOff');
    expect(backOff).toMatchObject({
      text: 'CrashLoopBackOff: next start 10 s after it ended',
      untilMs: exits[1]! + 10_000,
    });
    expect(forecast.containers[0]).toMatchObject({ container: 'i', init: true, restarts: 2 });
    expect(forecast.containers[0]!.segments.map((s) => s.state)).toEqual([
      'pulling',
      'init',
      'pulling',
      'init',
      'backOff',
      'pulling',
      'init',
    ]);
  });

  it('a hang: the checks that notice it, the restart, and what clients see meanwhile', async () => {
    const forecast = await run(pod('p', WEB), { fail: ['app@20s=hang'], for: '1m' });
    const failed = forecast.steps.filter((s) => s.probe?.type === 'liveness' && s.probe.outcome === 'hang');
    expect(failed.map((s) => s.text)).toEqual([
      'liveness probe fails: no answer in 1 s (1 of 3)',
      'liveness probe fails: no answer in 1 s (2 of 3)',
      'liveness probe fails: no answer in 1 s (3 of 3)',
    ]);
    const [killed] = at(forecast, 'killing');
    expect(killed! - 20_000).toBeGreaterThanOrEqual(5000);
    expect(killed! - 20_000).toBeLessThanOrEqual(7010);
    const back = at(forecast, 'ready')[1]!;
    expect(forecast.clients).toMatchObject([
      { target: 'pod/p', servedAtMs: at(forecast, 'ready')[0], errors: [{ fromMs: 20_000, toMs: back, share: 1 }] },
    ]);
    expect(forecast.pods).toMatchObject([{ pod: 'p', ready: true, restarts: 1, phase: 'Running' }]);
  });

  it('probes that run the same command are told apart, also where that has a variable in it', async () => {
    const check = 'exec: { command: [test, -e, $(FILE)] }';
    const probes = ['startup', 'liveness', 'readiness'].map((type) => `${type}Probe: { ${check}, periodSeconds: 2 }`);
    const env = 'env: [{ name: FILE, value: /tmp/ok }]';
    const manifest = pod('p', `containers: [{ name: app, image: web, ${env}, ${probes.join(', ')} }]`);
    const forecast = await run(manifest, { fail: ['app.readiness@20s-30s', 'app.liveness@40s'], for: '1m' });
    const checks = (type: string): Step[] => forecast.steps.filter((s) => s.probe?.type === type);
    expect(checks('startup').map((s) => s.probe!.outcome)).toEqual(['success', 'success']);
    expect(checks('readiness').filter((s) => s.probe!.outcome === 'failure')).toHaveLength(5);
    expect(checks('liveness').filter((s) => s.probe!.outcome === 'failure')).toHaveLength(3);
    expect(forecast.pods).toMatchObject([{ restarts: 1, ready: true }]);
  });

  it('a client of a Service sees errors only while requests go to the one that hangs', async () => {
    const forecast = await run(SERVICE + pod('a', WEB) + pod('b', WEB), { fail: ['a/app.readiness@20s'], for: '1m' });
    const [unrouted] = at(forecast, 'unrouted', (s) => s.pod === 'a' && s.atMs < 60_000);
    expect(forecast.clients).toHaveLength(1);
    expect(forecast.clients[0]).toMatchObject({
      target: 'service/web',
      errors: [{ fromMs: 20_000, toMs: unrouted, share: 0.5 }],
      errorMs: Math.round((unrouted! - 20_000) / 2),
    });
  });

  it('a slow start that liveness does not wait for never ends, and the advice says so', async () => {
    const forecast = await run(pod('p', WEB), { slowStart: ['12s'] });
    expect(forecast.pods).toMatchObject([{ ready: false, restarts: expect.toSatisfy((n: number) => n >= 3) }]);
    expect(forecast.pods[0]!.readyAtMs).toBeUndefined();
    expect(forecast.clients).toMatchObject([{ target: 'pod/p', errors: [] }]);
    expect(forecast.warnings).toMatchObject([
      { rule: 'liveness-kills-start', field: 'spec.containers[0].startupProbe' },
    ]);
    // Refusals of the first second count for nothing.
    const counted = forecast.steps.filter((s) => s.probe?.type === 'liveness' && s.probe.counts);
    expect(counted[0]!.atMs - at(forecast, 'started')[0]!).toBe(1000);
  });

  it('a deletion takes as long as the containers need, and the grace period at most', async () => {
    const hook = 'lifecycle: { preStop: { httpGet: { path: /bye, port: 80 } } }';
    const spec = `terminationGracePeriodSeconds: 5\n  containers: [{ name: app, image: web, ${hook} }]`;
    const took = async (scenario: string): Promise<number> => {
      const [{ deletion }] = (await run(pod('p', spec), {}, scenario)).pods as [Forecast['pods'][number]];
      expect(deletion).toMatchObject({ askedAtMs: 60_000, atMostMs: 5000 });
      return deletion!.goneAtMs! - deletion!.askedAtMs;
    };
    expect(await took('')).toBeLessThan(500);
    const slow = await took('containers: { app: { stopsIn: 3s } }');
    expect(slow).toBeGreaterThanOrEqual(3000);
    expect(slow).toBeLessThan(3500);
    const never = await took('containers: { app: { ignoresSigterm: true } }');
    expect(never).toBeGreaterThanOrEqual(5000);
    expect(never).toBeLessThan(5500);
  });

  it('a deletion with a grace period of its own, and one of a pod in which nothing runs', async () => {
    const manifest = pod('p', 'containers: [{ name: app, image: web }]');
    const own = await run(manifest, {}, 'events: [{ at: 20s, delete: p, grace: 5s }]');
    expect(own.pods).toMatchObject([{ deletion: { askedAtMs: 20_000, atMostMs: 5000 } }]);
    const done = pod('p', 'restartPolicy: Never\n  containers: [{ name: app, image: web }]');
    const none = await run(done, {}, 'containers: { app: { runsFor: 3s } }');
    expect(none.pods).toMatchObject([{ phase: 'Succeeded', deletion: { atMostMs: 0 } }]);
  });

  it('an agent that starts again counts failures anew', async () => {
    const forecast = await run(pod('p', WEB), { fail: ['app.liveness@20s'], killAgent: ['23s'], for: '1m' });
    const failed = forecast.steps.filter((s) => s.probe?.type === 'liveness' && s.probe.outcome === 'failure');
    expect(failed.map((s) => s.probe!.streak)).toEqual([1, 2, 1, 2, 3]);
    expect(at(forecast, 'killing')[0]! - failed.at(-1)!.atMs).toBeLessThan(50);
  });

  it('a container that is there to end does so when it no longer fails; another one runs on', async () => {
    const scenario = 'containers: { c: { runsFor: 2s, fails: 1 } }';
    const phase = async (policy: string): Promise<unknown> => {
      const spec = `restartPolicy: ${policy}\n  containers: [{ name: c, image: web }]`;
      return (await run(pod('p', spec), {}, scenario)).pods[0];
    };
    expect(await phase('OnFailure')).toMatchObject({ phase: 'Succeeded', restarts: 1 });
    expect(await phase('Always')).toMatchObject({ phase: 'Running', ready: true, restarts: 1 });
  });

  it('tells of a readiness gate that nobody opens, once', async () => {
    const spec = 'readinessGates: [{ conditionType: x/y }]\n  containers: [{ name: c, image: web }]';
    const forecast = await run(pod('p', spec));
    const problems = forecast.steps.filter((s) => s.kind === 'problem').map((s) => s.text);
    expect(problems).toEqual([expect.stringMatching(/^ReadinessGatesNotReady: .*"x\/y"/)]);
  });

  it('says of an exit that nobody is there for it', async () => {
    const scenario = 'events: [{ at: 100ms, exit: app }, { at: 20s, exit: app }]';
    const forecast = await run(pod('p', 'containers: [{ name: app, image: web }]'), {}, scenario);
    expect(forecast.notes).toEqual(['p/app: does not exit at 0.1 s, since it does not run then']);
    expect(at(forecast, 'exited').filter((ms) => ms < forecast.forMs)).toEqual([20_000]);
  });

  it('an image that cannot be pulled at first', async () => {
    const forecast = await run(
      pod('p', 'containers: [{ name: app, image: "web:1" }]'),
      {},
      'images: { "web:1": { failures: 1, pull: 2s } }',
    );
    const texts = forecast.steps.map((s) => s.text.replace(/:.*/, ''));
    expect(texts.slice(0, 4)).toEqual(['created', 'pulls web', 'ErrImagePull', 'ImagePullBackOff']);
    expect(forecast.steps[2]!.text).toContain('failed to pull and unpack image "docker.io/library/web:1": ');
    expect(at(forecast, 'ready')[0]).toBeGreaterThan(12_000);
    expect(at(forecast, 'ready')[0]).toBeLessThan(16_000);
  });

  it('an image without a tag is found by its name, and is asked for each time', async () => {
    const manifest = pod('p', 'containers: [{ name: app, image: web }]');
    const pulled = at(await run(manifest, {}, 'images: { web: { pull: 3s } }'), 'pulled');
    expect(pulled[0]).toBeGreaterThanOrEqual(3000);
    expect(pulled[0]).toBeLessThan(3100);
  });

  it('a pod that is meant to end does', async () => {
    const spec = 'restartPolicy: Never\n  containers: [{ name: job, image: web }]';
    const forecast = await run(pod('p', spec), {}, 'containers: { job: { runsFor: 7s } }');
    expect(forecast.pods).toMatchObject([{ phase: 'Succeeded', restarts: 0 }]);
    expect(at(forecast, 'finished')[0]! - at(forecast, 'started')[0]!).toBeLessThan(7200);
  });

  it('says when an assumption befalls nobody, and makes the namespace that a manifest needs', async () => {
    const manifest = pod('p', WEB).replace('name: p,', 'name: p, namespace: team,');
    const forecast = await run(manifest, { fail: ['app.liveness@100ms'] });
    expect(forecast.notes).toEqual([
      'p/app: the liveness probe does not fail at 0.1 s, since the container does not run then',
    ]);
    expect(forecast.pods).toMatchObject([
      { namespace: 'team', ready: true, deletion: { goneAtMs: expect.any(Number) } },
    ]);
  });

  it('the death of kubelette itself harms nobody', async () => {
    const forecast = await run(pod('p', WEB), { killAgent: ['20s'] });
    expect(at(forecast, 'agentDied')).toEqual([20_000]);
    expect(at(forecast, 'agentStarted')).toEqual([21_000]);
    expect(forecast.pods).toMatchObject([{ ready: true, restarts: 0 }]);
    expect(forecast.clients).toMatchObject([{ errors: [] }]);
  });
});
