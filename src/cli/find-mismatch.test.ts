import { expect, test } from 'vitest';
import { decodeObject } from '../api/decode.ts';
import { PODS } from '../api/resources.ts';
import { messageOf } from '../lib/errors.ts';
import { findMismatch } from './find-mismatch.ts';

const containers = (...more: object[]): object => ({
  containers: [{ name: 'a', image: 'x', ports: [{ containerPort: 80 }] }, ...more],
});

/** What the decoder says of it is the question. */
test.each<[spec: unknown, path: string | undefined]>([
  [
    containers({ name: 'b', ports: [{ containerPort: 80 }, { containerPort: '81' }] }),
    'spec.containers[1].ports[1].containerPort',
  ],
  [containers({ name: 'b', ports: [{ containerPort: 99999999999 }] }), 'spec.containers[1].ports[0].containerPort'],
  [
    containers({
      name: 'b',
      env: [
        { name: 'A', value: 'ok' },
        { name: 'B', value: true },
      ],
    }),
    'spec.containers[1].env[1].value',
  ],
  [containers({ name: 'b', command: ['sleep', 5] }), 'spec.containers[1].command[1]'],
  [containers({ name: 'b', command: 'sleep' }), 'spec.containers[1].command'],
  [{ containers: 'x' }, 'spec.containers'],
  [{ containers: ['x'] }, 'spec.containers[0]'],
  [{ ...containers(), nodeSelector: { disk: 'ssd', 'example.com/n': 1 } }, 'spec.nodeSelector[example.com/n]'],
  ['x', 'spec'],
  // The message names no field.
  [containers({ name: 'b', resources: { limits: { cpu: 'abc' } } }), undefined],
])('%j: %s', (spec, path) => {
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec };
  let message = '';
  try {
    decodeObject(PODS, object);
  } catch (error) {
    message = messageOf(error);
  }
  expect(message).not.toBe('');
  expect(findMismatch(message, object)).toBe(path);
});
