import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Change, CompactedError, type HistoryLimits, Mvcc, type Version } from './mvcc.ts';

const WIDE: HistoryLimits = { changes: 1000, characters: 1 << 20, ageMs: 1 << 30 };

function version(key: string, revision: number, text = ''): Version {
  return { key, revision, object: { metadata: { name: key } }, text };
}

/** Writes and remembers every state that there was. */
class Recorder {
  readonly mvcc: Mvcc;
  readonly states = new Map<number, string[]>();

  constructor(limits = WIDE) {
    this.mvcc = new Mvcc(limits, 0, []);
    this.states.set(0, []);
  }

  write(key: string, deleted = false, at = 0, text = ''): void {
    const before = this.mvcc.get('pods', key);
    if (deleted && !before) return;
    const after = version(key, this.mvcc.revision + 1, text);
    this.mvcc.apply({ revision: after.revision, collection: 'pods', before, after, deleted }, at);
    this.states.set(after.revision, show(this.mvcc.scan('pods')));
  }
}

const show = (versions: Iterable<Version>): string[] => [...versions].map((v) => `${v.key}@${v.revision}`);
const kinds = (changes: readonly Change[]): string[] =>
  changes.map((c) => `${c.deleted ? 'DEL' : c.before ? 'MOD' : 'ADD'} ${c.after.key}`);

test('keys are ordered and found by prefix; a namespace is not a prefix of another', () => {
  const { mvcc, write } = bound(new Recorder());
  for (const key of ['b/x', 'a/y', 'a-b/z', 'a/x', 'a0/q']) write(key);
  expect(show(mvcc.scan('pods'))).toEqual(['a-b/z@3', 'a/x@4', 'a/y@2', 'a0/q@5', 'b/x@1']);
  expect(show(mvcc.scan('pods', 'a/'))).toEqual(['a/x@4', 'a/y@2']);
  expect(mvcc.count('pods', 'a/')).toBe(2);
  expect(show(mvcc.scan('nodes'))).toEqual([]);
});

test('a scan that is under way is not disturbed by writes', () => {
  const { mvcc, write } = bound(new Recorder());
  for (const key of ['a', 'b', 'c']) write(key);
  const seen: string[] = [];
  for (const { key } of mvcc.scan('pods')) {
    seen.push(key);
    write(key, true);
  }
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(mvcc.count('pods')).toBe(0);
});

test('changes of one collection since a revision, oldest first', () => {
  const { mvcc, write } = bound(new Recorder());
  write('a');
  write('b');
  write('a');
  write('b', true);
  expect(kinds(mvcc.changesSince('pods', 0))).toEqual(['ADD a', 'ADD b', 'MOD a', 'DEL b']);
  expect(kinds(mvcc.changesSince('pods', 2))).toEqual(['MOD a', 'DEL b']);
  expect(mvcc.changesSince('pods', 4)).toEqual([]);
  expect(mvcc.changesSince('nodes', 0)).toEqual([]);
});

describe('compaction', () => {
  test('by count: at least that many changes stay known, older ones are an error', () => {
    const { mvcc, write } = bound(new Recorder({ ...WIDE, changes: 8 }));
    for (let i = 0; i < 100; i++) write(`k${i % 3}`);
    expect(mvcc.oldest).toBeGreaterThanOrEqual(90);
    expect(mvcc.oldest).toBeLessThanOrEqual(92);
    expect(mvcc.changesSince('pods', mvcc.oldest)).toHaveLength(100 - mvcc.oldest);
    expect(() => mvcc.changesSince('pods', mvcc.oldest - 1)).toThrow(CompactedError);
    expect(() => mvcc.scanAt('pods', '', mvcc.oldest - 1)).toThrow(CompactedError);
  });

  test('by age', () => {
    const { mvcc, write } = bound(new Recorder({ ...WIDE, ageMs: 1000 }));
    write('a', false, 0);
    write('b', false, 900);
    write('c', false, 1251);
    expect(mvcc.oldest).toBe(1);
    write('d', false, 10_000);
    expect(mvcc.oldest).toBe(3);
  });

  test('by size', () => {
    const { mvcc, write } = bound(new Recorder({ ...WIDE, characters: 100 }));
    for (let i = 0; i < 10; i++) write('a', false, 0, 'x'.repeat(30));
    expect(10 - mvcc.oldest).toBeLessThanOrEqual(4);
    write('a', false, 0, 'x'.repeat(1000));
    expect(mvcc.oldest).toBe(11);
    expect(mvcc.get('pods', 'a')?.revision).toBe(11);
  });
});

test('every earlier state can be read as it was', () => {
  const writes = fc.array(fc.record({ key: fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2'), deleted: fc.boolean() }));
  fc.assert(
    fc.property(writes, (list) => {
      const recorder = new Recorder();
      for (const { key, deleted } of list) recorder.write(key, deleted);
      for (const [revision, state] of recorder.states) {
        expect(show(recorder.mvcc.scanAt('pods', '', revision))).toEqual(state);
        expect(show(recorder.mvcc.scanAt('pods', 'b/', revision))).toEqual(state.filter((s) => s.startsWith('b/')));
      }
    }),
  );
});

function bound(recorder: Recorder) {
  return { mvcc: recorder.mvcc, write: recorder.write.bind(recorder) };
}
