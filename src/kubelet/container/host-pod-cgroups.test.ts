import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import { silentLogger } from '../../lib/logger.ts';
import { HostPodCgroups } from './host-pod-cgroups.ts';

let root: string;
const warnings: string[] = [];
const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) };
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kl-cgroup-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
  warnings.length = 0;
});

const pod: Pod = {
  metadata: { name: 'p', uid: 'u' },
  spec: { containers: [{ name: 'c', resources: { requests: { cpu: '250m' }, limits: { cpu: '1', memory: '1Mi' } } }] },
  status: { qosClass: 'Burstable' },
};

/** Files as the kernel has them in a new cgroup. */
function make(dir: string, ...files: string[]): void {
  mkdirSync(join(root, dir), { recursive: true });
  for (const file of files) writeFileSync(join(root, dir, file), '');
}
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('cgroup v1: a pod and the classes', () => {
  const cpu = ['cpu.shares', 'cpu.cfs_period_us', 'cpu.cfs_quota_us'];
  for (const dir of ['burstable/podu', 'burstable', 'besteffort']) make(`cpu/kl/${dir}`, ...cpu);
  make('memory/kl/burstable/podu', 'memory.limit_in_bytes');
  const cgroups = new HostPodCgroups({ parent: '/kl', pods: () => [pod, pod], logger, root });
  cgroups.set(pod);
  expect(cpu.map((file) => read(`cpu/kl/burstable/podu/${file}`))).toEqual(['256', '100000', '100000']);
  expect(read('memory/kl/burstable/podu/memory.limit_in_bytes')).toBe('1048576');
  expect(read('cpu/kl/burstable/cpu.shares')).toBe('512');
  expect(read('cpu/kl/besteffort/cpu.shares')).toBe('2');
});

test('cgroup v2: a pod and the classes', () => {
  make('', 'cgroup.controllers');
  for (const dir of ['burstable/podu', 'burstable', 'besteffort']) {
    make(`kl/${dir}`, 'cpu.weight', 'cpu.max', 'memory.max');
  }
  const cgroups = new HostPodCgroups({ parent: '/kl', pods: () => [pod, pod], logger, root });
  cgroups.set(pod);
  const files = ['cpu.weight', 'cpu.max', 'memory.max'];
  expect(files.map((file) => read(`kl/burstable/podu/${file}`))).toEqual(['10', '100000 100000', '1048576']);
  expect(files.map((file) => read(`kl/burstable/${file}`))).toEqual(['20', '', '']);
  expect(read('kl/besteffort/cpu.weight')).toBe('1');
});

test('what the host does not have is nothing to tell', () => {
  new HostPodCgroups({ parent: '/kl', pods: () => [], logger, root }).set(pod);
  expect(warnings).toEqual([]);
});
