import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allCheckers } from '../../src/simulator/all-checkers.ts';
import { MUTANTS, mutate } from './mutants.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('mutants; `make sim-mutants` has the simulator find each', () => {
  it.each(MUTANTS)('$name: its code is in the sources, once', (mutant) => {
    expect(mutate(mutant, ROOT)).toContain(mutant.bug);
  });

  it('that are not in the sources any more are told', () => {
    const gone = { ...MUTANTS[0]!, code: 'not in there' };
    expect(() => mutate(gone, ROOT)).toThrow(`mutant '${gone.name}': ${gone.file} has 0 times instead of once`);
    expect(() => mutate({ ...gone, code: 'const ' }, ROOT)).toThrow(/has \d{2,} times instead of once/);
  });

  it('are there for every checker', () => {
    const checkers = new Set(allCheckers().map((c) => c.name));
    expect(new Set(MUTANTS.map((m) => m.checker))).toEqual(checkers);
  });
});
