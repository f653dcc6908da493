// Needs root: mounts, and owners.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { HostMounter } from './mounter.ts';
import { bindSubPath } from './sub-path.ts';
import { HostVolumeManager } from './volume-manager.ts';

const mounter = new HostMounter();
let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'kl volumes-')));
});
afterEach(async () => {
  for (const path of await mounter.below(dir)) await mounter.unmount(path);
  rmSync(dir, { recursive: true });
});

describe('subPath', () => {
  let volume: string;
  let target: string;
  beforeEach(() => {
    volume = join(dir, 'volume');
    target = join(dir, 'targets/v/app/0');
    mkdirSync(join(volume, 'a/b'), { recursive: true });
    writeFileSync(join(volume, 'a/file'), 'inside');
    writeFileSync(join(dir, 'secret'), 'outside');
  });
  const bind = (subPath: string): Promise<void> => bindSubPath(volume, subPath, target, mounter);

  test('a directory, a file', async () => {
    await bind('a');
    expect(readFileSync(join(target, 'file'), 'utf8')).toBe('inside');
    await bind('a/file');
    expect(readFileSync(target, 'utf8')).toBe('inside');
  });

  test('the same again mounts nothing new', async () => {
    await bind('a');
    await bind('./a/');
    expect(await mounter.below(target)).toHaveLength(1);
  });

  test('what is missing is made, with the mode of the volume', async () => {
    chmodSync(volume, 0o2777);
    await bind('new/deep');
    expect(statSync(join(volume, 'new/deep')).mode & 0o7777).toBe(0o2777);
    writeFileSync(join(target, 'f'), 'x');
    expect(readFileSync(join(volume, 'new/deep/f'), 'utf8')).toBe('x');
  });

  test('links inside the volume are followed', async () => {
    symlinkSync('a', join(volume, 'link'));
    await bind('link/file');
    expect(readFileSync(target, 'utf8')).toBe('inside');
  });

  test.each([
    ['secret', '../secret'],
    ['absolute', '/etc'],
    ['dir', '..'],
  ])('links that lead out are refused (%s)', async (name, to) => {
    symlinkSync(to, join(volume, name));
    await expect(bind(name)).rejects.toThrow('the path leads out of the volume');
    await expect(bind(`${name}/x`)).rejects.toThrow();
    expect(existsSync(join(dir, 'x'))).toBe(false);
    expect(await mounter.below(target)).toEqual([]);
  });

  test('links to what is missing are refused, not made', async () => {
    symlinkSync(join(dir, 'made'), join(volume, 'dangling'));
    await expect(bind('dangling/x')).rejects.toThrow('dangling became a link');
    expect(existsSync(join(dir, 'made'))).toBe(false);
  });

  test('exchanging the path afterwards changes nothing', async () => {
    await bind('a/file');
    unlinkSync(join(volume, 'a/file'));
    symlinkSync(join(dir, 'secret'), join(volume, 'a/file'));
    expect(readFileSync(target, 'utf8')).toBe('inside');
  });

  test('a path through a file', async () => {
    await expect(bind('a/file/x')).rejects.toThrow('ENOTDIR');
  });
});

test('volumes of a pod, from set-up to nothing left', async () => {
  const podsDir = join(dir, 'pods');
  const manager = new HostVolumeManager({
    settings: {
      nodeName: 'n',
      hostIP: '192.0.2.1',
      podsDir,
      podLogsDir: join(dir, 'logs'),
      cgroupParent: '/x',
      resolvConf: '/etc/resolv.conf',
      clusterDNS: [],
      clusterDomain: 'cluster.local',
      memoryCapacityBytes: 1 << 24,
    },
    capacity: { cpuMillis: 1000, memoryBytes: 1 << 24, ephemeralStorageBytes: 8192 },
    objects: {
      configMap: async () => ({ metadata: {}, data: { a: '1' } }),
      secret: async () => ({ metadata: {}, data: { b: 'Mg==' } }),
    },
    mounter,
    clock: new FakeClock(),
  });
  const names = ['disk', 'memory', 'cm', 'sec'];
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'ns', uid: 'u1' },
    spec: {
      securityContext: { fsGroup: 4321 },
      containers: [{ name: 'app', volumeMounts: names.map((name) => ({ name, mountPath: `/${name}` })) }],
      volumes: [
        { name: 'disk', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'cm', configMap: { name: 'cm' } },
        { name: 'sec', secret: { secretName: 'sec', defaultMode: 0o400 } },
      ],
    },
  };
  const result = await manager.setUp(pod, new AbortController().signal);
  if (!result.ok) throw new Error(JSON.stringify(result.failures));
  const path = (name: string, file = ''): string => join(result.volumes.get(name)!.hostPath, file);
  const modeAndGroup = (p: string): [string, number] => [(statSync(p).mode & 0o7777).toString(8), statSync(p).gid];

  expect(modeAndGroup(path('disk'))).toEqual(['2777', 4321]);
  expect(modeAndGroup(path('memory'))).toEqual(['3777', 4321]);
  expect(() => writeFileSync(path('memory', 'big'), Buffer.alloc(2 << 20))).toThrow('ENOSPC');
  // Their tops as well, also after a refresh that changes nothing.
  expect(modeAndGroup(path('cm'))).toEqual(['2777', 4321]);
  expect(modeAndGroup(path('sec'))).toEqual(['3777', 4321]);
  await manager.refresh(pod);
  expect(modeAndGroup(path('cm'))).toEqual(['2777', 4321]);
  expect(modeAndGroup(path('cm', 'a'))).toEqual(['644', 4321]);
  expect(modeAndGroup(path('sec', 'b'))).toEqual(['440', 4321]);
  expect(await mounter.below(podsDir)).toHaveLength(2);

  // A container with Bidirectional propagation, or a CSI driver, may leave mounts below ours.
  mkdirSync(path('disk', 'inner'));
  await mounter.tmpfs(path('disk', 'inner'), []);
  writeFileSync(path('disk', 'inner/f'), 'x');
  await mounter.tmpfs(path('disk', 'inner'), []);

  await manager.tearDown('u1');
  expect(await mounter.below(podsDir)).toEqual([]);
  expect(await manager.listPodUIDs()).toEqual([]);
});

test('a tmpfs has no options but those asked for, and stays in memory', async () => {
  const volume = join(dir, 'memory');
  mkdirSync(volume);
  await mounter.tmpfs(volume, ['mode=1777', 'size=1048576']);
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((l) => l.includes(`${volume.replace(' ', '\\040')} `))!;
  expect(line).toContain(' rw,relatime ');
  expect(line).toContain('size=1024k');
  const [major = 0, minor = 0] = release().split('.').map(Number);
  expect(line.includes('noswap')).toBe(major > 6 || (major === 6 && minor >= 4));
});
