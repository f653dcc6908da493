import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generateCase } from './generate-case.ts';
import { runSeeds, violationsOf } from './run-seeds.ts';
import { shrink } from './shrink.ts';
import type { SimCase } from './sim-case.ts';

const REGRESSIONS = new URL('../../test/sim/regressions/', import.meta.url);

it('a few seeds; `make sim` runs a thousand', { timeout: 60_000 }, async () => {
  const { failures } = await runSeeds(Array.from({ length: 20 }, (_, i) => i));
  expect(failures).toEqual([]);
});

it.each(readdirSync(REGRESSIONS).filter((name) => name.endsWith('.json')))('%s stays mended', async (name) => {
  const { case: simCase } = JSON.parse(readFileSync(new URL(name, REGRESSIONS), 'utf8')) as { case: SimCase };
  expect(await violationsOf(simCase)).toEqual([]);
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
