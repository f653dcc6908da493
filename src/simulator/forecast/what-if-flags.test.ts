import { expect, test } from 'vitest';
import { PodTargets } from './pod-targets.ts';
import { podOf } from './test-pods.ts';
import { WhatIf } from './what-if.ts';
import { addFlags, type WhatIfFlags } from './what-if-flags.ts';

const probe = { httpGet: { path: '/', port: 80 } };
const targets = new PodTargets([
  podOf('web', {
    initContainers: [
      { name: 'install', image: 'busybox', command: ['sh', '-c', 'sleep 4'] },
      { name: 'log', image: 'busybox', restartPolicy: 'Always' },
    ],
    containers: [{ name: 'app', image: 'web', livenessProbe: probe, readinessProbe: probe }],
  }),
  podOf('db.x', {
    containers: [
      { name: 'log', image: 'log' },
      { name: 'sql', image: 'sql', startupProbe: probe },
    ],
  }),
]);

function scenarioOf(flags: WhatIfFlags) {
  const whatIf = new WhatIf();
  addFlags(whatIf, targets, flags);
  return whatIf.scenario(targets, 0);
}

test('what nobody says anything about runs, and init containers succeed after what they sleep', () => {
  expect(scenarioOf({}).containers).toEqual({
    'web/install': [{ health: [], exitAfterMs: 4000, exitCode: 0 }],
    'web/log': [{ health: [] }],
    'web/app': [{ health: [] }],
    'db.x/log': [{ health: [] }],
    'db.x/sql': [{ health: [] }],
  });
});

test.each<[WhatIfFlags, string, unknown]>([
  [
    { fail: ['app.liveness@40s'] },
    'web/app',
    [{ health: [{ probe: 'liveness', fromMs: 40_000, inRun: true, answer: 'failure' }] }],
  ],
  [
    { fail: ['web/app.readiness@1m-1m30s=hang'] },
    'web/app',
    [{ health: [{ probe: 'readiness', fromMs: 60_000, toMs: 90_000, inRun: true, answer: 'hang' }] }],
  ],
  [
    { fail: ['db.x/sql.startup@0s'] },
    'db.x/sql',
    [{ health: [{ probe: 'startup', fromMs: 0, inRun: true, answer: 'failure' }] }],
  ],
  [{ fail: ['app@5s'] }, 'web/app', [{ health: [{ fromMs: 5000, inRun: true, answer: 'failure' }] }]],
  [{ slowStart: ['25s'] }, 'db.x/sql', [{ health: [{ fromMs: 0, toMs: 25_000, answer: 'refused' }] }]],
  [{ slowStart: ['app:1.5s'] }, 'db.x/sql', [{ health: [] }]],
  [
    { initFails: ['install:2'] },
    'web/install',
    [
      { health: [], exitAfterMs: 4000, exitCode: 1 },
      { health: [], exitAfterMs: 4000, exitCode: 1 },
      { health: [], exitAfterMs: 4000, exitCode: 0 },
    ],
  ],
])('%j', (flags, container, scripts) => {
  expect(scenarioOf(flags).containers![container]).toEqual(scripts);
});

test('what counts in the time of the run is shifted to where the run begins', () => {
  const whatIf = new WhatIf();
  addFlags(whatIf, targets, { killAgent: ['30s'], fail: ['app@5s-6s'], slowStart: ['2s'], for: '5m' });
  const { actions, containers } = whatIf.scenario(targets, 1000);
  expect(actions).toEqual([{ atMs: 31_000, do: 'killAgent', downMs: 1000 }]);
  expect(containers!['web/app']![0]!.health).toMatchObject([
    { fromMs: 0, toMs: 2000 },
    { fromMs: 6000, toMs: 7000 },
  ]);
  expect(whatIf.horizonMs(targets)).toBe(300_000);
});

test.each<[WhatIfFlags, string]>([
  [{ fail: ['app'] }, '--fail app: expected CONTAINER.PROBE@TIME'],
  [{ fail: ['nope.liveness@4s'] }, '--fail nope.liveness@4s: there is no container "nope"'],
  [{ fail: ['app.alive@4s'] }, '--fail app.alive@4s: "alive" is no probe'],
  [{ fail: ['app.startup@4s'] }, '--fail app.startup@4s: container web/app has no startup probe'],
  [{ fail: ['log.liveness@4s'] }, '--fail log.liveness@4s: several pods have a container "log"'],
  [{ fail: ['db.x/log.liveness@4s'] }, '--fail db.x/log.liveness@4s: container db.x/log has no liveness probe'],
  [{ fail: ['app.liveness@4'] }, '--fail app.liveness@4: "4" is no duration'],
  [{ fail: ['app.liveness@9s-4s'] }, '--fail app.liveness@9s-4s: 4s is not after 9s'],
  [{ fail: ['app.liveness@4s=sulk'] }, '--fail app.liveness@4s=sulk: "sulk" is no answer'],
  [{ slowStart: ['soon'] }, '--slow-start soon: "soon" is no duration'],
  [{ slowStart: ['nope:3s'] }, '--slow-start nope:3s: there is no container "nope"'],
  [{ initFails: ['install'] }, '--init-fails install: expected CONTAINER:TIMES'],
  [{ initFails: ['install:0'] }, '--init-fails install:0: "0" is no number from 1 to 100'],
  [{ initFails: ['app:1'] }, '--init-fails app:1: web/app is no init container'],
  [{ initFails: ['web/log:1'] }, '--init-fails web/log:1: web/log is no init container'],
  [{ killAgent: ['now'] }, '--kill-agent now: "now" is no duration'],
  [{ for: '0s' }, '--for 0s: it must be longer than 0'],
  [{ for: '25h' }, '--for 25h: 25h is longer than 24h'],
])('%j is refused', (flags, message) => {
  expect(() => scenarioOf(flags)).toThrow(expect.objectContaining({ name: 'UserError', message }));
});

test.each<[WhatIfFlags, string]>([
  [{ fail: ['nope.liveness@4s'] }, 'containers here: web/install, web/log, web/app, db.x/log, db.x/sql'],
  [{ fail: ['app.startup@4s'] }, 'it has liveness, readiness'],
  [{ fail: ['log@4s'] }, 'say which: web/log, db.x/log'],
  [{ initFails: ['app:1'] }, 'init containers here: web/install'],
])('%j: what there is instead', (flags, hint) => {
  expect(() => scenarioOf(flags)).toThrow(expect.objectContaining({ hint }));
});
