import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import type { Container, ContainerFilter } from '../../cri/generated/cri.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLogger } from '../../lib/logger.ts';
import type { NodeSettings } from '../ports.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';
import { RuntimeContainerGC } from './container-gc.ts';
import { LogRotation } from './log-rotation.ts';

let dir: string;
let clock: FakeClock;
const podLogs = (): string => join(dir, 'logs/ns_p_u');
const log = (file: string): string => join(podLogs(), 'app', file);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-gc-'));
  clock = new FakeClock();
  mkdirSync(join(podLogs(), 'app'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('container GC', () => {
  const identity = { podUID: 'u', namespace: 'ns', name: 'p' };
  let removed: string[];
  let gc: RuntimeContainerGC;
  beforeEach(() => {
    removed = [];
    gc = new RuntimeContainerGC({
      runtime: { removeContainer: async (id) => void removed.push(id) },
      settings: { podLogsDir: join(dir, 'logs'), cgroupParent: '/kubelette/x' } as NodeSettings,
      clock,
      cgroupRoot: join(dir, 'cgroup'),
    });
  });

  test('removes older dead instances, and their logs', async () => {
    for (const file of ['0.log', '0.log.20260101-000000.gz', '1.log', '10.log']) writeFileSync(log(file), '');
    const containers = [1, 0].map(
      (restartCount) =>
        ({
          id: `c${restartCount}`,
          name: 'app',
          restartCount,
          state: 'exited',
          createdAt: 0,
        }) as ContainerRuntimeStatus,
    );
    const status: PodRuntimeStatus = { ...identity, sandboxes: [], containers };
    await gc.collect({ metadata: {} } as Pod, status);
    expect(removed).toEqual(['c0']);
    expect(readdirSync(join(podLogs(), 'app')).sort()).toEqual(['1.log', '10.log']);
  });

  test('of a pod that is gone nothing is left: logs, cgroups in every hierarchy', async () => {
    const cgroups = ['cpu/kubelette/x/burstable/podu/inner', 'memory/kubelette/x/podu', 'kubelette/x/besteffort/podu'];
    for (const cgroup of cgroups) mkdirSync(join(dir, 'cgroup', cgroup), { recursive: true });
    mkdirSync(join(dir, 'cgroup/cpu/kubelette/x/burstable/podother'));
    await gc.removePod(identity);
    expect(existsSync(podLogs())).toBe(false);
    const left = readdirSync(join(dir, 'cgroup'), { recursive: true }).filter((path) => String(path).includes('pod'));
    expect(left).toEqual(['cpu/kubelette/x/burstable/podother']);
    await gc.removePod(identity);
  });

  test('a cgroup that is busy is tried a few times', async () => {
    const cgroup = join(dir, 'cgroup/cpu/kubelette/x/podu');
    mkdirSync(cgroup, { recursive: true });
    writeFileSync(join(cgroup, 'busy'), '');
    let done = false;
    const removal = gc.removePod(identity).then(() => {
      done = true;
    });
    // The file system answers in its own time.
    while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    rmSync(join(cgroup, 'busy'));
    await clock.advance(20);
    await removal;
    expect(existsSync(cgroup)).toBe(false);
  });

  test('retain removes what is of no pod', async () => {
    mkdirSync(join(dir, 'logs/ns_q_gone/app'), { recursive: true });
    mkdirSync(join(dir, 'logs/notes'));
    await gc.retain(new Set(['u']));
    expect(readdirSync(join(dir, 'logs')).sort()).toEqual(['notes', 'ns_p_u']);
    rmSync(join(dir, 'logs'), { recursive: true });
    await gc.retain(new Set());
  });

  test('a pod whose directory would be elsewhere is a bug', async () => {
    await expect(gc.removePod({ podUID: '../..', namespace: 'ns', name: 'p' })).rejects.toThrow('broken invariant');
  });
});

describe('log rotation', () => {
  const LIMIT = 10 << 20;
  let running: string[];
  let filters: Partial<ContainerFilter>[];
  let reopened: string[];
  let reopenError: Error | undefined;
  let rotation: LogRotation;

  beforeEach(() => {
    running = ['c1'];
    filters = [];
    reopened = [];
    reopenError = undefined;
    rotation = new LogRotation({
      runtime: {
        listContainers: async (filter = {}) => {
          filters.push(filter);
          return running.map((id) => ({ id }) as Container);
        },
        reopenContainerLog: async (id) => {
          if (reopenError) throw reopenError;
          reopened.push(id);
          writeFileSync(log('1.log'), '');
        },
      },
      podLogsDir: join(dir, 'logs'),
      clock,
      logger: silentLogger,
    });
  });

  function grow(file: string, bytes: number): void {
    writeFileSync(log(file), file);
    truncateSync(log(file), bytes);
  }
  const files = (): string[] => readdirSync(join(podLogs(), 'app')).sort();

  test('a log within bounds costs no call', async () => {
    grow('0.log', LIMIT + 1);
    grow('1.log', LIMIT);
    await rotation.check();
    expect(filters).toEqual([]);
  });

  test('a longer one is set aside and the container told', async () => {
    grow('1.log', LIMIT + 1);
    await rotation.check();
    expect(filters[0]).toMatchObject({
      labelSelector: { 'io.kubernetes.pod.uid': 'u', 'io.kubernetes.container.name': 'app' },
    });
    expect(reopened).toEqual(['c1']);
    expect(files()).toEqual(['1.log', '1.log.20260101-000000']);
  });

  test('at most five files; the older ones compressed', async () => {
    for (let i = 0; i < 7; i++) {
      grow('1.log', LIMIT + 1);
      await rotation.check();
      await clock.advance(1000);
    }
    expect(files()).toEqual([
      '1.log',
      '1.log.20260101-000003.gz',
      '1.log.20260101-000004.gz',
      '1.log.20260101-000005.gz',
      '1.log.20260101-000006',
    ]);
    const text = gunzipSync(readFileSync(log('1.log.20260101-000005.gz')));
    expect(text).toHaveLength(LIMIT + 1);
    expect(text.subarray(0, 5).toString()).toBe('1.log');
  });

  test('what nobody writes to stays', async () => {
    running = [];
    grow('1.log', LIMIT + 1);
    await rotation.check();
    expect(files()).toEqual(['1.log']);
  });

  test('when the runtime does not follow, the log keeps its name', async () => {
    reopenError = new Error('away');
    grow('1.log', LIMIT + 1);
    await rotation.check();
    expect(files()).toEqual(['1.log']);
  });

  test('looks every ten seconds until told to stop', async () => {
    const controller = new AbortController();
    const done = rotation.run(controller.signal);
    grow('1.log', LIMIT + 1);
    await clock.advance(9_999);
    expect(reopened).toEqual([]);
    await clock.advance(1);
    while (reopened.length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await done;
  });
});
