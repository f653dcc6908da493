import { constants } from 'node:http2';
import { expect, it } from 'vitest';
import { codeOfReset, codeOfStatus, decodeMessage, timeoutHeader } from './grpc-status.ts';

it('knows the codes by number', () => {
  expect(['0', '1', '4', '5', '14', '16', '17', 'x', ''].map(codeOfStatus)).toEqual([
    'OK',
    'CANCELLED',
    'DEADLINE_EXCEEDED',
    'NOT_FOUND',
    'UNAVAILABLE',
    'UNAUTHENTICATED',
    'UNKNOWN',
    'UNKNOWN',
    'UNKNOWN',
  ]);
});

it('decodes messages, and leaves alone what is not encoded', () => {
  expect(decodeMessage('plain "text"')).toBe('plain "text"');
  expect(decodeMessage('50%25 of %C3%A4%0A')).toBe('50% of ä\n');
  expect(decodeMessage('100% of %zz')).toBe('100% of %zz');
});

it('reads the reason of a reset', () => {
  expect(codeOfReset(constants.NGHTTP2_REFUSED_STREAM)).toBe('UNAVAILABLE');
  expect(codeOfReset(constants.NGHTTP2_CANCEL)).toBe('CANCELLED');
  expect(codeOfReset(constants.NGHTTP2_PROTOCOL_ERROR)).toBe('INTERNAL');
});

it('writes time-outs with at most eight digits', () => {
  expect([0, 0.4, 1500, 99_999_999, 100_000_001, 1e15].map(timeoutHeader)).toEqual([
    '1m',
    '1m',
    '1500m',
    '99999999m',
    '100001S',
    '99999999S',
  ]);
});
