import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigMap, Container, Pod, PodSpec, Secret, Volume } from '../../api/generated/types.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { memoryLimit } from './empty-dir.ts';
import type { Mounter } from './mounter.ts';
import { HostVolumeManager } from './volume-manager.ts';
import { VolumeRefresh } from './volume-refresh.ts';

/** Remembers what would be mounted. */
class FakeMounter implements Mounter {
  readonly points: string[] = [];
  readonly calls: string[] = [];
  stuck = false;

  async below(dir: string): Promise<string[]> {
    return this.points.filter((p) => p === dir || p.startsWith(`${dir}/`)).reverse();
  }

  async tmpfs(dir: string, options: readonly string[]): Promise<void> {
    this.calls.push(`tmpfs ${options.join(',')}`);
    this.points.push(dir);
  }

  async bind(_source: string, target: string): Promise<void> {
    this.points.push(target);
  }

  async unmount(path: string): Promise<void> {
    if (!this.stuck) this.points.splice(this.points.indexOf(path), 1);
  }
}

let dir: string;
let mounter: FakeMounter;
let configMaps: Record<string, ConfigMap>;
let secrets: Record<string, Secret>;
let manager: HostVolumeManager;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-volumes-'));
  mounter = new FakeMounter();
  configMaps = {};
  secrets = {};
  manager = newManager();
});
afterEach(() => rmSync(dir, { recursive: true }));

const need = <T>(object: T | undefined, kind: string, name: string, optional: boolean): T | undefined => {
  if (!object && !optional) throw new Error(`${kind} "${name}" not found`);
  return object;
};

function newManager(): HostVolumeManager {
  return new HostVolumeManager({
    settings: {
      nodeName: 'n',
      hostIP: '192.0.2.1',
      podsDir: join(dir, 'pods'),
      podLogsDir: join(dir, 'logs'),
      cgroupParent: '/x',
      resolvConf: '/etc/resolv.conf',
      clusterDNS: [],
      clusterDomain: 'cluster.local',
      memoryCapacityBytes: 1000,
    },
    capacity: { cpuMillis: 2000, memoryBytes: 1000, ephemeralStorageBytes: 8192 },
    objects: {
      configMap: async (_ns, name, optional) => need(configMaps[name], 'configmap', name, optional),
      secret: async (_ns, name, optional) => need(secrets[name], 'secret', name, optional),
    },
    mounter,
    clock: new FakeClock(),
  });
}

/** A pod with one container that mounts every volume. */
function podWith(...volumes: Volume[]): Pod {
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
  return {
    metadata: { name: 'p', namespace: 'ns', uid: 'u1', labels: { app: 'x' } },
    spec: { containers: [{ name: 'app', volumeMounts }], volumes } as PodSpec,
  };
}

const signal = new AbortController().signal;
async function setUp(pod: Pod): Promise<ReadonlyMap<string, { hostPath: string; readOnly: boolean }>> {
  const result = await manager.setUp(pod, signal);
  if (!result.ok) throw new Error(result.failures.map((f) => f.message).join('\n'));
  return result.volumes;
}
const inPod = (path: string): string => join(dir, 'pods/u1', path);

describe('emptyDir', () => {
  const pod = podWith({ name: 'v', emptyDir: {} });

  test('is writable for everybody, where upstream has it', async () => {
    const volume = (await setUp(pod)).get('v')!;
    expect(volume).toEqual({ hostPath: inPod('volumes/kubernetes.io~empty-dir/v'), readOnly: false });
    expect(statSync(volume.hostPath).mode & 0o7777).toBe(0o777);
  });

  test('keeps its contents when the agent starts again', async () => {
    const { hostPath } = (await setUp(pod)).get('v')!;
    writeFileSync(join(hostPath, 'f'), 'x');
    manager = newManager();
    expect((await setUp(pod)).get('v')!.hostPath).toBe(hostPath);
    expect(readFileSync(join(hostPath, 'f'), 'utf8')).toBe('x');
  });

  test('in memory is a tmpfs, mounted once, and again after a reboot', async () => {
    const memory = podWith({ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '100' } });
    await setUp(memory);
    await setUp(memory);
    manager = newManager();
    await setUp(memory);
    expect(mounter.calls).toEqual(['tmpfs mode=1777,size=100']);
    mounter.points.length = 0;
    manager = newManager();
    await setUp(memory);
    expect(mounter.calls).toHaveLength(2);
  });

  test.each([
    [undefined, [undefined], 1000],
    ['100', [undefined], 100],
    ['5000', [undefined], 1000],
    [undefined, ['300', '400'], 700],
    ['600', ['300', '400'], 600],
    [undefined, ['300', undefined], 1000],
    ['0', ['300', '400'], 700],
  ])('limit %s with containers %o holds %i bytes', (sizeLimit, limits, bytes) => {
    const containers = limits.map((memory, i) => ({
      name: `${i}`,
      ...(memory ? { resources: { limits: { memory } } } : {}),
    }));
    const source = { medium: 'Memory', ...(sizeLimit ? { sizeLimit } : {}) };
    expect(memoryLimit({ metadata: {}, spec: { containers } }, source, 1000)).toBe(bytes);
  });

  test.each([
    ['700', 700],
    ['100', 300],
    [undefined, 1000],
  ])('the pod may use as much as an init container with limit %s', (memory, bytes) => {
    const sized = (limit: string | undefined): Container => ({
      name: 'c',
      ...(limit ? { resources: { limits: { memory: limit } } } : {}),
    });
    const spec = { initContainers: [sized(memory)], containers: [sized('300')] };
    expect(memoryLimit({ metadata: {}, spec }, { medium: 'Memory' }, 1000)).toBe(bytes);
  });
});

test('every failure is named, in the words of the kubelet', async () => {
  const traces = JSON.parse(
    readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
  ) as Record<string, { events: { message: string }[] }>;
  const pod = podWith(
    { name: 'v', secret: { secretName: 'nope' } },
    { name: 'ok', emptyDir: {} },
    { name: 'h', hostPath: { path: join(dir, 'none'), type: 'File' } },
    { name: 'n', nfs: { server: 's', path: '/' } },
  );
  const result = await manager.setUp(pod, signal);
  expect(result).toEqual({
    ok: false,
    failures: [
      { volume: 'v', message: 'MountVolume.SetUp failed for volume "v" : secret "nope" not found' },
      {
        volume: 'h',
        message: `MountVolume.SetUp failed for volume "h" : hostPath type check failed: ${dir}/none is not a file`,
      },
      {
        volume: 'n',
        message: 'MountVolume.SetUp failed for volume "n" : volume source nfs is not supported by this node',
      },
    ],
  });
  expect(traces['volume-missing']!.events.map((e) => e.message)).toContain(!result.ok && result.failures[0]!.message);
  expect(readdirSync(inPod('volumes/kubernetes.io~empty-dir'))).toEqual(['ok']);
});

test('a volume that nobody mounts is not set up', async () => {
  const pod = podWith({ name: 'v', secret: { secretName: 'nope' } });
  pod.spec!.containers[0]!.volumeMounts = [];
  expect((await setUp(pod)).size).toBe(0);
});

describe('configuration', () => {
  const read = (path: string, file: string): string => readFileSync(join(path, file), 'utf8');
  beforeEach(() => {
    configMaps.cm = { metadata: {}, data: { a: '1', b: '2' }, binaryData: { bin: 'AAE=' } };
    secrets.sec = { metadata: {}, data: { pass: Buffer.from('word').toString('base64') } };
  });

  test('a configMap, whole', async () => {
    const { hostPath, readOnly } = (await setUp(podWith({ name: 'v', configMap: { name: 'cm' } }))).get('v')!;
    expect(readOnly).toBe(true);
    expect(readdirSync(hostPath).filter((f) => !f.startsWith('..'))).toEqual(['a', 'b', 'bin']);
    expect(read(hostPath, 'a')).toBe('1');
    expect(readFileSync(join(hostPath, 'bin'))).toEqual(Buffer.from([0, 1]));
    expect(statSync(join(hostPath, 'a')).mode & 0o777).toBe(0o644);
  });

  test('belongs to the fsGroup from its top on, and stays so', async () => {
    configMaps.c = { metadata: {}, data: { a: '1' } };
    const volumes: Volume[] = [
      { name: 'cm', configMap: { name: 'c' } },
      { name: 'down', downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name' } }] } },
    ];
    const pod = podWith(...volumes);
    pod.spec.securityContext = { fsGroup: process.getgid!() };
    const mounted = await setUp(pod);
    const modes = (): string[] =>
      [...mounted.values()].map(({ hostPath }) => (statSync(hostPath).mode & 0o7777).toString(8));
    expect(modes()).toEqual(['2777', '2750']);
    await manager.refresh(pod);
    expect(modes()).toEqual(['2777', '2750']);
  });

  test('items, with paths and modes', async () => {
    const items = [
      { key: 'a', path: 'sub/x', mode: 0o400 },
      { key: 'b', path: 'y' },
    ];
    const pod = podWith({ name: 'v', configMap: { name: 'cm', items, defaultMode: 0o440 } });
    const { hostPath } = (await setUp(pod)).get('v')!;
    expect(read(hostPath, 'sub/x')).toBe('1');
    expect(statSync(join(hostPath, 'sub/x')).mode & 0o777).toBe(0o400);
    expect(statSync(join(hostPath, 'y')).mode & 0o777).toBe(0o440);
  });

  test('a secret is on a tmpfs', async () => {
    const { hostPath } = (await setUp(podWith({ name: 'v', secret: { secretName: 'sec' } }))).get('v')!;
    expect(mounter.points).toEqual([hostPath]);
    expect(hostPath).toBe(inPod('volumes/kubernetes.io~secret/v'));
    expect(read(hostPath, 'pass')).toBe('word');
  });

  test('downward API and projected', async () => {
    const labels = { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } };
    const cpu = { path: 'cpu', resourceFieldRef: { containerName: 'app', resource: 'limits.cpu' } };
    const volumes = await setUp(
      podWith(
        { name: 'd', downwardAPI: { items: [labels, cpu] } },
        {
          name: 'p',
          projected: {
            sources: [
              { configMap: { name: 'cm', items: [{ key: 'a', path: 'a' }] } },
              { secret: { name: 'sec' } },
              { downwardAPI: { items: [{ ...labels, path: 'sub/labels' }] } },
            ],
          },
        },
      ),
    );
    expect(read(volumes.get('d')!.hostPath, 'labels')).toBe('app="x"');
    expect(read(volumes.get('d')!.hostPath, 'cpu')).toBe('2');
    const projected = volumes.get('p')!.hostPath;
    expect(['a', 'pass', 'sub/labels'].map((f) => read(projected, f))).toEqual(['1', 'word', 'app="x"']);
  });

  test.each<[Volume, string]>([
    [
      { name: 'v', configMap: { name: 'cm', items: [{ key: 'zz', path: 'x' }] } },
      'configmap references non-existent config key: zz',
    ],
    [
      { name: 'v', secret: { secretName: 'sec', items: [{ key: 'zz', path: 'x' }] } },
      'references non-existent secret key: zz',
    ],
    [
      { name: 'v', projected: { sources: [{ secret: { name: 'n1' } }, { configMap: { name: 'n2' } }] } },
      '[secret "n1" not found, configmap "n2" not found]',
    ],
    [
      { name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
      'serviceAccountToken is not supported by this node in a projected volume',
    ],
  ])('failure %#', async (volume, message) => {
    const result = await manager.setUp(podWith(volume), signal);
    expect(result).toEqual({
      ok: false,
      failures: [{ volume: 'v', message: `MountVolume.SetUp failed for volume "v" : ${message}` }],
    });
  });

  test('what is optional may be missing', async () => {
    const volumes = await setUp(
      podWith(
        { name: 'c', configMap: { name: 'nope', optional: true } },
        { name: 's', secret: { secretName: 'sec', optional: true, items: [{ key: 'zz', path: 'x' }] } },
      ),
    );
    for (const { hostPath } of volumes.values()) {
      expect(readdirSync(hostPath).filter((f) => !f.startsWith('..'))).toEqual([]);
    }
  });

  test('refresh shows a change, and keeps the old files when it cannot', async () => {
    const pod = podWith({ name: 'v', configMap: { name: 'cm' } });
    expect(await manager.refresh(pod)).toEqual([]);
    expect(existsSync(inPod('volumes'))).toBe(false);
    const { hostPath } = (await setUp(pod)).get('v')!;
    configMaps.cm = { metadata: {}, data: { a: '3' } };
    // Another life of the agent, which has not set anything up itself.
    manager = newManager();
    expect(await manager.refresh(pod)).toEqual([]);
    expect(read(hostPath, 'a')).toBe('3');
    delete configMaps.cm;
    expect(await manager.refresh(pod)).toEqual([
      { volume: 'v', message: 'MountVolume.SetUp failed for volume "v" : configmap "cm" not found' },
    ]);
    expect(read(hostPath, 'a')).toBe('3');
  });
});

describe('tearing down', () => {
  test('unmounts, deletes, and follows no link', async () => {
    mkdirSync(join(dir, 'outside'));
    writeFileSync(join(dir, 'outside/keep'), 'x');
    const pod = podWith({ name: 'm', emptyDir: { medium: 'Memory' } }, { name: 'v', emptyDir: {} });
    const volumes = await setUp(pod);
    symlinkSync(join(dir, 'outside'), join(volumes.get('v')!.hostPath, 'link'));
    expect(await manager.listPodUIDs()).toEqual(['u1']);
    await manager.tearDown('u1');
    expect(mounter.points).toEqual([]);
    expect(await manager.listPodUIDs()).toEqual([]);
    expect(readFileSync(join(dir, 'outside/keep'), 'utf8')).toBe('x');
    await manager.tearDown('u1');
    expect((await setUp(pod)).size).toBe(2);
  });

  test('deletes nothing while something is mounted', async () => {
    await setUp(podWith({ name: 'm', emptyDir: { medium: 'Memory' } }));
    mounter.stuck = true;
    await expect(manager.tearDown('u1')).rejects.toThrow(/^cannot unmount .*kubernetes\.io~empty-dir\/m$/);
    expect(await manager.listPodUIDs()).toEqual(['u1']);
  });

  test.each(['..', '', 'a/b', '.'])('a UID that is a path (%s) is a bug', async (uid) => {
    await expect(manager.tearDown(uid)).rejects.toThrow('broken invariant');
  });
});

test('the refresh goes round all pods every ten seconds, and tells what fails', async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const events: string[] = [];
  const controller = new AbortController();
  const pods = [podWith(), { ...podWith(), metadata: { name: 'q', uid: 'u2' } }];
  const done = new VolumeRefresh({
    volumes: {
      refresh: async (pod) => {
        seen.push(pod.metadata.uid!);
        return pod.metadata.uid === 'u2' ? [{ volume: 'v', message: 'why' }] : [];
      },
    },
    pods: () => pods,
    recorder: {
      event: (pod, type, reason, message) => events.push(`${pod.metadata.name} ${type} ${reason} ${message}`),
    },
    clock,
  }).run(controller.signal);
  await clock.advance(9_999);
  expect(seen).toEqual([]);
  await clock.advance(10_001);
  expect(seen).toEqual(['u1', 'u2', 'u1', 'u2']);
  expect(events).toEqual(['q Warning FailedMount why', 'q Warning FailedMount why']);
  controller.abort();
  await done;
});
