import { expect, it } from 'vitest';
import { SimDisk } from './sim-disk.ts';

const row = (key: string, revision: number) => ({ collection: 'pods', key, revision, value: `"${key}${revision}"` });
const kept = (disk: SimDisk) => [...disk.open(() => true).load().rows].map((r) => r.value);

it('keeps what was written when the process dies, and refuses the dead', () => {
  const disk = new SimDisk();
  let alive = true;
  const first = disk.open(() => alive);
  first.put(row('a', 1));
  first.put(row('b', 2));
  first.erase('pods', 'b', 3);
  alive = false;
  expect(() => first.put(row('c', 4))).toThrow('dead');
  expect(kept(disk)).toEqual(['"a1"']);
  expect(disk.open(() => true).load().revision).toBe(3);
});

it('loses the newest writes, whole ones, when the power goes', () => {
  const disk = new SimDisk();
  const open = disk.open(() => true);
  for (let i = 1; i <= 5; i++) open.put(row('a', i));
  expect(disk.cutPower(2)).toEqual([4, 5]);
  expect(kept(disk)).toEqual(['"a3"']);
  expect(disk.cutPower(9)).toEqual([]);
});

it('takes nothing while it is full', () => {
  const disk = new SimDisk();
  const open = disk.open(() => true);
  disk.full = true;
  expect(() => open.put(row('a', 1))).toThrow('database or disk is full');
  disk.full = false;
  open.put(row('a', 1));
  expect(kept(disk)).toEqual(['"a1"']);
});
