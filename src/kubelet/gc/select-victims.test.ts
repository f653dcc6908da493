import { expect, test } from 'vitest';
import type { ContainerRuntimeStatus } from '../runtime-status.ts';
import { selectVictims } from './select-victims.ts';

const container = (
  name: string,
  restartCount: number,
  state: ContainerRuntimeStatus['state'] = 'exited',
  createdAt = restartCount,
): ContainerRuntimeStatus => ({
  id: `${name}${restartCount}@${createdAt}`,
  name,
  sandboxId: 's',
  state,
  restartCount,
  hash: '',
  createdAt,
  startedAt: 0,
  finishedAt: 0,
  exitCode: 0,
  reason: '',
  message: '',
  image: '',
  imageRef: '',
  logPath: '',
});

test.each<[string, ContainerRuntimeStatus[], string[]]>([
  ['nothing', [], []],
  ['one dead', [container('a', 0)], []],
  ['one dead before one that runs', [container('a', 1, 'running'), container('a', 0)], []],
  ['two dead', [container('a', 1), container('a', 0)], ['a0@0']],
  ['in any order', [container('a', 0), container('a', 2), container('a', 1)], ['a1@1', 'a0@0']],
  ['each container by itself', [container('a', 1), container('b', 0), container('a', 0)], ['a0@0']],
  [
    'what is created or unknown stays',
    [container('a', 3, 'created'), container('a', 2, 'unknown'), container('a', 1), container('a', 0, 'running')],
    [],
  ],
  ['the same count in two sandboxes', [container('a', 0, 'exited', 1), container('a', 0, 'exited', 2)], ['a0@1']],
])('%s', (_, containers, victims) => {
  const status = { podUID: 'u', namespace: 'ns', name: 'p', sandboxes: [], containers };
  expect(selectVictims(status).map((c) => c.id)).toEqual(victims);
});
