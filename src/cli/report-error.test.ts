import { expect, test } from 'vitest';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import { describeError } from './report-error.ts';
import { interruption } from './stop-signals.ts';

test('what the server answers is said as kubectl says it', () => {
  expect(describeError(new ApiStatusError(404, 'NotFound', 'pods "x" not found'))).toEqual({
    text: 'Error from server (NotFound): pods "x" not found\n',
    exitCode: 1,
  });
});

test('an invalid object shows every cause', () => {
  const error = (...fields: string[]): ApiStatusError =>
    new ApiStatusError(422, 'Invalid', 'Pod "p" is invalid: [...]', {
      kind: 'Pod',
      name: 'p',
      causes: fields.map((field) => ({ field, message: 'Required value' })),
    });
  expect(describeError(error('spec.containers')).text).toBe(
    'The Pod "p" is invalid: spec.containers: Required value\n',
  );
  expect(describeError(error('spec.a', 'spec.b')).text).toBe(
    'The Pod "p" is invalid:\n* spec.a: Required value\n* spec.b: Required value\n',
  );
});

test('a user error shows its hint, a bug its message only, a cancellation nothing', () => {
  expect(describeError(new UserError('no agent', { hint: 'kubelette up', exitCode: 3 }))).toEqual({
    text: 'error: no agent\nhint: kubelette up\n',
    exitCode: 3,
  });
  expect(describeError(new TypeError('x is undefined')).text).toBe('error: x is undefined\n');
  expect(describeError(Object.assign(new Error('aborted'), { name: 'AbortError' }))).toEqual({
    text: '',
    exitCode: 130,
  });
});

test('a node that does not run', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), {
    code: 'ECONNREFUSED',
    address: '127.0.0.1',
    port: 6443,
  });
  expect(describeError(refused).text).toBe(
    'error: nobody listens at 127.0.0.1:6443\nhint: kubelette up --detach starts the node\n',
  );
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGPIPE', 141],
] as const)('what %s stopped ends with %d', (signal, exitCode) => {
  expect(describeError(interruption(signal))).toEqual({ text: '', exitCode });
});
