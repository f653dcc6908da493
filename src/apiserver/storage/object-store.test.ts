import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KubeObject } from '../../api/resources.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { Change } from './mvcc.ts';
import { ObjectStore } from './object-store.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kubelette-store-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const configMap = (name: string, data: Record<string, string> = {}): KubeObject =>
  ({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name }, data }) as KubeObject;
const open = (path = join(dir, 'state.db')) => new ObjectStore(path, new FakeClock());

test('an object carries its revision; its text has neither kind nor apiVersion', () => {
  const store = open(':memory:');
  store.put('configmaps', 'a', configMap('a'));
  const version = store.put('configmaps', 'a', configMap('a', { x: 'ü' }));
  expect(version.object).toEqual({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name: 'a', resourceVersion: '2' },
    data: { x: 'ü' },
  });
  expect(version.text).toBe('{"metadata":{"name":"a","resourceVersion":"2"},"data":{"x":"ü"}}');
  expect(store.get('configmaps', 'a')).toBe(version);
});

test('listeners hear of changes in order, with what was before, until they leave', () => {
  const store = open(':memory:');
  const heard: Change[] = [];
  const leave = store.subscribe('configmaps', (change) => heard.push(change));
  store.put('configmaps', 'a', configMap('a'));
  store.put('secrets', 'a', configMap('a'));
  store.delete('configmaps', 'a');
  expect(store.delete('configmaps', 'a')).toBeUndefined();
  leave();
  store.put('configmaps', 'a', configMap('a'));
  expect(
    heard.map((c) => [c.revision, c.deleted, c.before?.revision, c.after.object.metadata.resourceVersion]),
  ).toEqual([
    [1, false, undefined, '1'],
    [3, true, 1, '3'],
  ]);
});

test('what was written is there after reopening, and no revision is given out twice', () => {
  const first = open();
  first.put('configmaps', 'ns/a', configMap('a', { k: 'v' }));
  first.put('configmaps', 'ns/b', configMap('b'));
  first.delete('configmaps', 'ns/b');
  first.close();
  const second = open();
  expect(second.revision).toBe(3);
  expect(second.oldest).toBe(3);
  expect([...second.scan('configmaps')].map((v) => v.key)).toEqual(['ns/a']);
  expect(second.get('configmaps', 'ns/a')?.object).toEqual({
    ...configMap('a', { k: 'v' }),
    metadata: { name: 'a', resourceVersion: '1' },
  });
  second.close();
});

test('a second process is refused in one sentence', () => {
  const store = open();
  expect(() => open()).toThrow(`${join(dir, 'state.db')} is in use by another process`);
  store.close();
});

test('a damaged file is refused in one sentence', () => {
  writeFileSync(join(dir, 'state.db'), 'not a database, but long enough to be looked at'.repeat(50));
  expect(() => open()).toThrow(`cannot open the database ${join(dir, 'state.db')}: file is not a database`);
});

test('what was acknowledged survives kill -9', () => {
  const script = `
    const { ObjectStore } = await import(${JSON.stringify(new URL('./object-store.ts', import.meta.url).href)});
    const store = new ObjectStore(process.argv[1], { monotonic: () => 0 });
    for (let i = 0; i < 50; i++) store.put('configmaps', 'k' + i, { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'k' + i } });
    store.delete('configmaps', 'k49');
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script, join(dir, 'state.db')]);
  expect(child.signal).toBe('SIGKILL');
  const store = open();
  expect(store.count('configmaps')).toBe(49);
  expect(store.revision).toBe(51);
  store.close();
});

test('a failing write changes nothing and is answered as an internal error', () => {
  const store = open();
  store.put('configmaps', 'a', configMap('a'));
  const heard: Change[] = [];
  store.subscribe('configmaps', (change) => heard.push(change));
  // A page limit stands in for a full disk.
  (store as unknown as { disk: { database: { exec(sql: string): void } } }).disk.database.exec(
    'PRAGMA max_page_count = 1',
  );
  const big = configMap('big', { x: 'x'.repeat(1 << 16) });
  expect(() => store.put('configmaps', 'big', big)).toThrow(
    /^Internal error occurred: cannot write .*database or disk is full/,
  );
  expect(store.revision).toBe(1);
  expect(store.get('configmaps', 'big')).toBeUndefined();
  expect(heard).toEqual([]);
  expect(store.delete('configmaps', 'a')?.revision).toBe(2);
  store.close();
});
