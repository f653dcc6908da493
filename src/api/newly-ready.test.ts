import { expect, it } from 'vitest';
import type { EndpointSlice } from './generated/types.ts';
import { newlyReady } from './newly-ready.ts';

const slice = (...endpoints: [uid: string, ready: boolean | undefined][]): EndpointSlice => ({
  metadata: { name: 's' },
  addressType: 'IPv4',
  endpoints: endpoints.map(([uid, ready]) => ({ addresses: ['10.0.0.1'], conditions: { ready }, targetRef: { uid } })),
});

it('names pods that were not ready before, or not there', () => {
  const before = slice(['a', true], ['b', false]);
  expect(newlyReady(slice(['a', true], ['b', true], ['c', undefined], ['d', false]), before)).toEqual(['b', 'c']);
  expect(newlyReady(before, undefined)).toEqual(['a']);
  expect(newlyReady({ metadata: {}, addressType: 'IPv4' } as EndpointSlice, before)).toEqual([]);
});
