import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SqliteDisk } from './sqlite-disk.ts';

/** Of a WAL file: its header, and of each frame before its page. */
const WAL_HEADER = 32;
const FRAME_HEADER = 24;
/** Not every byte has something to say; `SIM_LONG=1` tries them all. */
const [HEADER_STRIDE, PAGE_STRIDE] = process.env.SIM_LONG ? [1, 1] : [4, 1024];

function show(disk: SqliteDisk): string {
  const { revision, rows } = disk.load();
  const kept = [...rows].map((row) => `${row.key}=${row.value}@${row.revision}`).sort();
  return `${revision}: ${kept.join(' ')}`;
}

/** Opens what a power cut left behind. */
function reopen(dir: string, database: Buffer, wal: Buffer): string {
  const path = join(dir, 'cut.db');
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  writeFileSync(path, database);
  writeFileSync(`${path}-wal`, wal);
  const disk = new SqliteDisk(path);
  try {
    return show(disk);
  } finally {
    disk.close();
  }
}

it('loses the newest writes at most, whole ones, wherever the write-ahead log is torn or spoiled', {
  timeout: 1_800_000,
}, () => {
  const dir = mkdtempSync(join(tmpdir(), 'kubelette-torn-'));
  try {
    const path = join(dir, 'state.db');
    const disk = new SqliteDisk(path);
    const wal = (): Buffer => readFileSync(`${path}-wal`);
    /** What there was after each write, and how long the log was then. */
    const states: { readonly state: string; readonly length: number }[] = [];
    const note = (): void => {
      states.push({ state: show(disk), length: wal().length });
    };
    note();
    for (let i = 1; i <= 6; i++) {
      disk.put({ collection: 'pods', key: `p${i % 4}`, revision: i, value: `"${'x'.repeat(i * 300)}${i}"` });
      note();
    }
    disk.erase('pods', 'p1', 7);
    note();
    disk.put({ collection: 'pods', key: 'p9', revision: 8, value: '"last"' });
    note();
    const [database, log] = [readFileSync(path), wal()];
    disk.close();

    /** The state that a log which is whole up to `length` stands for. */
    const at = (length: number): string => states.findLast((s) => s.length <= length)!.state;
    const pageSize = log.readUInt32BE(8);
    const frame = FRAME_HEADER + pageSize;
    const from = states.at(-4)!.length;
    for (let cut = from; cut <= log.length; cut++) {
      const inFrame = (cut - WAL_HEADER) % frame;
      if (inFrame % (inFrame <= FRAME_HEADER ? HEADER_STRIDE : PAGE_STRIDE) !== 0) continue;
      expect(reopen(dir, database, log.subarray(0, cut)), `torn at ${cut}`).toBe(at(cut));
      if (cut === log.length) continue;
      const spoiled = Buffer.from(log);
      spoiled[cut]! ^= 0xff;
      expect(reopen(dir, database, spoiled), `spoiled at ${cut}`).toBe(at(cut));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
