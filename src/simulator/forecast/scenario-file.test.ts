import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import { readManifest } from '../../api/manifest.ts';
import type { Scenario } from '../scenario.ts';
import { PodTargets } from './pod-targets.ts';
import { addScenarioFile } from './scenario-file.ts';
import { podOf } from './test-pods.ts';
import { WhatIf } from './what-if.ts';

const probe = { httpGet: { path: '/', port: 80 } };
const targets = new PodTargets([
  podOf('web', {
    initContainers: [{ name: 'install', image: 'busybox' }],
    containers: [{ name: 'app', image: 'web:1', livenessProbe: probe, readinessProbe: probe }],
  }),
]);

function read(...texts: string[]): Omit<Scenario, 'durationMs'> & { forMs: number } {
  const whatIf = new WhatIf();
  for (const text of texts) addScenarioFile(whatIf, targets, text, 's.yaml');
  return { ...whatIf.scenario(targets, 0), forMs: whatIf.horizonMs(targets) };
}

test('everything that a file may say', () => {
  const { containers, images, actions, forMs } = read(`
for: 2m
containers:
  install: { runsFor: 2s, fails: 1, exitCode: 3 }
  web/app:
    startsAfter: 5s
    answersIn: 20ms
    stopsIn: 3s
    stopExitCode: 0
    ignoresSigterm: true
    readiness: { to: 20s }
    liveness:
    - { from: 40s, to: 50s, answer: hang }
    - { from: 60s }
images:
  web:1: { pull: 3s, failures: 2 }
  busybox: { present: true }
events:
- { at: 10s, killAgent: 5s }
- { at: 11s, killRuntime: }
- { at: 12s, fail: app.liveness, to: 14s, answer: refused }
- { at: 15s, exit: app, exitCode: 137 }
- { at: 16s, delete: web, grace: 5s }
`);
  expect(forMs).toBe(120_000);
  expect(containers).toEqual({
    'web/install': [
      { health: [], exitAfterMs: 2000, exitCode: 3 },
      { health: [], exitAfterMs: 2000, exitCode: 0 },
    ],
    'web/app': [
      {
        stopAfterMs: 3000,
        stopExitCode: 0,
        ignoreSigterm: true,
        answerMs: 20,
        health: [
          { fromMs: 0, toMs: 5000, answer: 'refused' },
          { probe: 'liveness', fromMs: 40_000, toMs: 50_000, answer: 'hang' },
          { probe: 'liveness', fromMs: 60_000, answer: 'failure' },
          { probe: 'readiness', fromMs: 0, toMs: 20_000, answer: 'failure' },
          { probe: 'liveness', fromMs: 12_000, toMs: 14_000, inRun: true, answer: 'refused' },
        ],
      },
    ],
  });
  expect(images).toEqual({
    'web:1': { present: false, pullMs: 3000, failures: 2 },
    'busybox:latest': { present: true },
  });
  expect(actions).toEqual([
    { atMs: 10_000, do: 'killAgent', downMs: 5000 },
    { atMs: 11_000, do: 'killRuntime', downMs: 1000 },
    { atMs: 15_000, do: 'exit', pod: 'web', container: 'app', exitCode: 137 },
    { atMs: 16_000, do: 'delete', pod: 'web', namespace: 'default', graceSeconds: 5 },
  ]);
});

test('the example of the documentation is one', () => {
  const read = (name: string): string => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), 'utf8');
  const [, example] = /```yaml\n([\s\S]+?)\n```/.exec(read('simulate.md'))!;
  const [webapl] = readManifest(read('webapl.yaml'), 'webapl.yaml');
  const whatIf = new WhatIf();
  const its = new PodTargets([webapl!.object as Pod]);
  addScenarioFile(whatIf, its, example!, 'simulate.md');
  const { actions, containers } = whatIf.scenario(its, 0);
  expect(actions).toHaveLength(3);
  expect(containers!['webapl/webapl']).toHaveLength(3);
});

test('of several files the later wins, and an empty one says nothing', () => {
  const { containers } = read(
    'containers: { install: { runsFor: 2s } }',
    '',
    'containers: { install: { runsFor: 3s } }',
  );
  expect(containers!['web/install']).toMatchObject([{ exitAfterMs: 3000 }]);
});

test.each([
  ['for: soon', 's.yaml:1:1: for: "soon" is no duration'],
  ['containers:\n  nope: {}', 's.yaml:2:3: containers[nope]: there is no container "nope"'],
  ['containers:\n  app: { runFor: 2s }', 's.yaml:2:10: containers[app].runFor: there is no such field'],
  ['containers:\n  app: 3', 's.yaml:2:3: containers[app]: expected a mapping, found 3'],
  [
    'containers:\n  app:\n    startup: { from: 1s }',
    's.yaml:3:5: containers[app].startup: container web/app has no startup probe',
  ],
  [
    'containers:\n  app:\n    liveness: { from: 9s, to: 3s }',
    's.yaml:3:27: containers[app].liveness.to: it is not after from',
  ],
  [
    'containers:\n  app: { ignoresSigterm: perhaps }',
    's.yaml:2:10: containers[app].ignoresSigterm: expected true or false, found "perhaps"',
  ],
  ['containers:\n  app: { exitCode: 256 }', 's.yaml:2:10: containers[app].exitCode: "256" is no exit code, 0 to 255'],
  ['images:\n  nope: {}', 's.yaml:2:3: images[nope]: no container has the image "nope"'],
  ['events:\n- killAgent: 1s', 's.yaml:2:3: events[0]: it does not say when'],
  ['events:\n- at: 3s\n  do: x', 's.yaml:2:3: events[0]: expected one of killAgent, killRuntime, fail, exit, delete'],
  ['events:\n- at: 3s\n  delete: db', 's.yaml:3:3: events[0].delete: there is no pod "db"'],
  ['events:\n- at: 3s\n  fail: app.x', 's.yaml:3:3: events[0].fail: "x" is no probe'],
  ['- a', 's.yaml:1:1: expected a mapping, found ["a"]'],
  ['a: [', 's.yaml:1:5: Flow sequence in block collection must be sufficiently indented and end with a ]'],
])('%j is refused', (text, message) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ name: 'UserError', message }));
});
