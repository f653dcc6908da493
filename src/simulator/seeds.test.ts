import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { generateCase } from './generate-case.ts';
import { runSeeds, violationsOf } from './run-seeds.ts';
import { shrink } from './shrink.ts';
import type { SimCase } from './sim-case.ts';

const REGRESSIONS = new URL('../../test/sim/regressions/', import.meta.url);

it('a few seeds; `make sim` runs 2,000', { timeout: 60_000 }, async () => {
  const { failures } = await runSeeds(Array.from({ length: 20 }, (_, i) => i));
  expect(failures).toEqual([]);
});

it.each(readdirSync(REGRESSIONS).filter((name) => name.endsWith('.json')))('%s stays mended', async (name) => {
  const { case: simCase } = JSON.parse(readFileSync(new URL(name, REGRESSIONS), 'utf8')) as { case: SimCase };
  expect(await violationsOf(simCase)).toEqual([]);
});

it('is the same to the byte in another process, wherever that thinks it is', { timeout: 60_000 }, async () => {
  const trace = async (env: Record<string, string>): Promise<string> => {
    const script = fileURLToPath(new URL('../../scripts/sim.ts', import.meta.url));
    const options = { env: { ...process.env, ...env }, maxBuffer: 2 ** 28 };
    const { stdout } = await promisify(execFile)(process.execPath, [script, '--trace', '3'], options);
    return stdout;
  };
  const [here, there] = await Promise.all([
    trace({ TZ: 'UTC', LANG: 'C', HOME: '/' }),
    trace({ TZ: 'Pacific/Chatham', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', HOME: '/nowhere' }),
  ]);
  expect(here.split('\n').length).toBeGreaterThan(200);
  expect(there === here).toBe(true);
});

it('shrinks a case to what matters', async () => {
  // Whatever kills the agent while p0 is there.
  const matters = async ({ objects, scenario }: SimCase): Promise<boolean> =>
    (scenario.actions ?? []).some((a) => a.do === 'killAgent') &&
    [...objects, ...(scenario.actions ?? []).flatMap((a) => (a.do === 'create' ? [a.object] : []))].some(
      (o) => o.metadata.name === 'p0',
    );
  const seed = Array.from({ length: 100 }, (_, i) => i).find((i) =>
    generateCase(i).scenario.actions!.some((a) => a.do === 'killAgent'),
  )!;
  const small = await shrink(generateCase(seed), matters);
  const actions = small.scenario.actions!;
  expect(small.objects.length + actions.length).toBe(2);
  expect(await matters(small)).toBe(true);
});
