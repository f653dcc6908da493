import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { Forecast } from '../../simulator/forecast/forecast.ts';
import { registerSimulate } from '../commands/simulate.ts';
import { FakeContext } from '../fake-context.ts';

const directory = mkdtempSync(join(tmpdir(), 'kubelette-simulate-'));
afterAll(() => rmSync(directory, { recursive: true }));
const examples = join(import.meta.dirname, '../../../examples');

let context: FakeContext;
beforeEach(() => {
  context = new FakeContext();
  context.cwd = directory;
});

async function simulate(...words: string[]): Promise<string> {
  const program = new Command('kubelette').exitOverride();
  registerSimulate(program, context);
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ writeErr: (text) => context.stderr.write(text) });
  }
  await program.parseAsync(['simulate', ...words], { from: 'user' });
  return context.out();
}

const webapl = join(examples, 'webapl.yaml');
const webaplScenario = join(examples, 'webapl.scenario.yaml');

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return name;
}

test('webapl: the timeline, what it comes to, and what to change, without colours', async () => {
  const text = await simulate(webapl, '--scenario', webaplScenario, '--for', '80s');
  expect(text).not.toContain('\u001b');
  expect(text.replaceAll(`${examples}/`, '')).toMatchInlineSnapshot(`
    "What will happen, in seconds of virtual time since the objects are created
       0.0  webapl         · created
       0.0  webapl/webapl  · pulls maho/webapl:0.1
       0.8  webapl/webapl  · image maho/webapl:0.1 is there (pulled in 800ms)
       0.9  webapl/webapl  · container starts
       3.9  webapl/webapl  ✓ liveness probe succeeds, then 7 times every 5 s until 38.9
      15.9  webapl/webapl  ✗ readiness probe fails (1 of 3)
      21.9  webapl/webapl  ✓ readiness probe succeeds, then 5 times every 6 s until 51.9
      21.9  webapl         ✓ Ready
      43.9  webapl/webapl  ✗ liveness probe fails (1 of 3)
      48.9  webapl/webapl  ✗ liveness probe fails (2 of 3)
      53.9  webapl/webapl  ✗ liveness probe fails (3 of 3)
      53.9  webapl/webapl  ! Container webapl failed liveness probe, will be restarted
      53.9  webapl/webapl  · image maho/webapl:0.1 is there already
      53.9  webapl/webapl  · exits with 0
      53.9  webapl         ! not Ready any more
      54.0  webapl/webapl  ! container starts again (restart 1)
      57.0  webapl/webapl  ✓ liveness probe succeeds, then 4 times every 5 s until 77.0
      69.0  webapl/webapl  ✗ readiness probe fails (1 of 3)
      75.0  webapl/webapl  ✓ readiness probe succeeds
      75.0  webapl         ✓ Ready

    Deleted at 80.0
      80.0  webapl         · kubectl delete
      80.0  webapl/webapl  ! Stopping container webapl
      80.0  webapl/webapl  · exits with 0
      80.1  webapl         · gone

    Pods
      webapl: Ready after 21.9 s, 1 restart, Ready at the end, kubectl delete takes 0.1 s (30.0 s if its processes ignore SIGTERM)

    What clients see
      pod/webapl: served from 21.9; errors for 34.1 s: 40.9 to 75.0

    When a container that was well stops answering
      webapl/webapl: not Ready 13 to 19 s later; gets SIGTERM 11 to 16 s later and is started again when it has ended, 30 s later at most

    Probes to change
      ! webapl.yaml:7:5: spec.containers[0].startupProbe
        webapl/webapl: the liveness probe kills a start that takes longer than 13 s (14 s when it hangs), and readinessProbe.initialDelaySeconds says that a start takes 15 s
        > add a startupProbe that asks the same, with periodSeconds: 5 and failureThreshold: 6
    "
  `);
});

test('colours on a terminal that takes them, and lines no wider than it', async () => {
  context.isTTY = context.color = true;
  Object.assign(context.stdout, { columns: 60 });
  const text = await simulate(webapl);
  expect(text).toContain('\u001b[32m✓');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control sequences
  for (const line of text.replace(/\u001b\[[0-9;]*m/g, '').split('\n'))
    expect([...line].length).toBeLessThanOrEqual(60);
});

test('JSON on standard output, a picture in a file', async () => {
  const forecast = JSON.parse(await simulate(webapl, '-o', 'json', '--svg', 'w.svg', '--kill-agent@30s')) as Forecast;
  expect(forecast).toMatchObject({ version: 1, pods: [{ pod: 'webapl', namespace: 'default' }] });
  expect(forecast.steps).toContainEqual({ atMs: 30_000, kind: 'agentDied', text: expect.any(String) });
  expect(forecast.warnings).toMatchObject([{ place: `${webapl}:7:5`, field: 'spec.containers[0].startupProbe' }]);
  const picture = readFileSync(join(directory, 'w.svg'), 'utf8');
  expect(picture).toMatch(/^<svg xmlns[\s\S]*<\/svg>\n$/);
  expect(picture).toContain('prefers-color-scheme: dark');
});

test('a picture on standard output: every name is escaped, every check drawn', async () => {
  const init = join(examples, 'init-demo.yaml');
  const picture = await simulate(webapl, init, '-o', 'svg', '--fail', 'webapl.liveness@20s');
  expect(picture).toMatch(/^<svg /);
  for (const word of ['pod webapl', 'install (init)', 'liveness probe', 'webapl (1 restart)', 'deleted']) {
    expect(picture).toContain(`>${word}<`);
  }
  expect(picture.match(/class="bad" d="([^"]+)"/)![1]!.match(/M/g)).toHaveLength(3);
});

test('a picture of a crowd: labels that would be written over others are left out, long names are cut', async () => {
  const long = 'a-name-that-is-longer-than-the-space-that-there-is';
  const name = file(
    'crowd.yaml',
    `apiVersion: v1\nkind: Pod\nmetadata: { name: ${long} }\nspec: { containers: [{ name: c, image: i }] }`,
  );
  const crash = file('crash.yaml', 'containers: { c: { runsFor: 1s, exitCode: 1 } }');
  const kills = ['1m', '1m5s', '10m', '20m'].flatMap((at) => ['--kill-agent', at]);
  const picture = await simulate(name, '--scenario', crash, '--for', '20m', ...kills, '-o', 'svg');
  const xs = [...picture.matchAll(/<text x="([\d.]+)" y="\d+">Ready/g)].map((m) => Number(m[1]));
  expect(xs.length).toBeGreaterThan(3);
  for (const [i, x] of xs.slice(1).entries()) expect(x - xs[i]!).toBeGreaterThan(70);
  expect(picture.match(/>kubelette killed</g)).toHaveLength(2);
  expect(picture.match(/class="event"/g)).toHaveLength(4);
  expect(picture).toMatch(/>pod a-name-that-is-long.*…</);
});

test('standard input, a namespace, a generated name', async () => {
  context.stdin.end(
    'apiVersion: v1\nkind: Pod\nmetadata: { generateName: job- }\nspec: { containers: [{ name: c, image: i }] }',
  );
  const forecast = JSON.parse(await simulate('-', '-n', 'team', '-o', 'json')) as Forecast;
  expect(forecast.pods).toMatchObject([{ namespace: 'team', pod: 'job-1', ready: true }]);
});

test('what the API server warns of is told with its place', async () => {
  const text =
    'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec:\n  schedulerName: mine\n  containers: [{ name: c, image: i }]';
  const name = file('w.yaml', text);
  await simulate(name);
  expect(context.err()).toMatch(/^Warning: w\.yaml:5:3: spec\.schedulerName: kubelette has one node/);
});

test.each([
  [[webapl, '--fail', 'app.liveness@4s'], '--fail app.liveness@4s: there is no container "app"'],
  [[webapl, '--kill-agent@never'], '--kill-agent never: "never" is no duration'],
  [[webapl, '--kill-agent', 'never'], '--kill-agent never: "never" is no duration'],
  [[webapl, '--fial', 'x'], 'unknown option --fial'],
  [['-n', 'x', '--kill-agent@3s'], 'no file is given'],
  [
    [webapl, '-o', 'yaml'],
    "error: option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are text, json, svg.",
  ],
  [['none.yaml'], 'none.yaml: no such file'],
  [[webapl, '--scenario', 'none.yaml'], 'none.yaml: no such file'],
  [[webapl, webapl], `${webapl}:4:3: there is another pod "webapl"`],
  [[webapl, '--svg', 'no/such/place.svg'], expect.stringContaining('--svg no/such/place.svg: ENOENT')],
])('%j is refused', async (words, message) => {
  await expect(simulate(...words)).rejects.toMatchObject({ message });
});

test.each([
  ['kind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }', 'bad.yaml: there is no Pod to simulate'],
  [
    'kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n  - name: c\n    image: i\n    livenessProbe: { periodSeconds: 2 }',
    'Pod "p" is invalid:\nbad.yaml:8:5: spec.containers[0].livenessProbe: Required value: must specify a handler type',
  ],
  [
    'kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n  - { name: c, image: i, livenesProbe: {} }',
    'Pod "p" has fields that do not exist:\nbad.yaml:6:26: unknown field "spec.containers[0].livenesProbe"',
  ],
  ['kind: Pod\nmetadata: { name: p }\nspec: 3', expect.stringContaining('spec')],
])('a manifest that the API server would refuse: %j', async (text, message) => {
  const name = file('bad.yaml', `apiVersion: v1\n${text}\n`);
  await expect(simulate(name)).rejects.toMatchObject({ message });
});
