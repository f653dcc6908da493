import type { Checker } from '../checker.ts';

/** What our code itself calls an error is one: faults of the world are warnings at most. */
export function noBugs(): Checker {
  return {
    name: 'no-bugs',
    on(fact, report) {
      if (fact.what === 'logged' && fact.level === 'error') report(`${fact.message}: ${fact.fields}`);
    },
  };
}
