import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container, Pod, PodSpec } from '../../api/generated/types.ts';
import { writeBusyboxArchive } from '../../cri/busybox-archive.ts';
import { connectRuntime, type RuntimeConnection } from '../../cri/cri-client.ts';
import { ManagedContainerd } from '../../cri/managed-containerd.ts';
import { removeContainerdState } from '../../cri/remove-containerd-state.ts';
import { SystemClock } from '../../lib/clock.ts';
import { instanceLayout } from '../../lib/instance.ts';
import { silentLogger } from '../../lib/logger.ts';
import { RuntimeContainerGC } from '../gc/container-gc.ts';
import { CriImageManager } from '../images/image-manager.ts';
import type { NodeSettings } from '../ports.ts';
import { HostMounter } from '../volumes/mounter.ts';
import { terminationMessageFile } from '../volumes/pod-dirs.ts';
import { HostVolumeManager } from '../volumes/volume-manager.ts';
import { PodConfigFactory } from './container-config-factory.ts';
import { HostPodCgroups } from './host-pod-cgroups.ts';
import { podCgroup } from './pod-cgroup.ts';
import { readTerminationMessage } from './read-termination-message.ts';

const BUSYBOX = 'docker.io/library/busybox:latest';
const PAUSE = 'registry.k8s.io/pause:3.10';
const clock = new SystemClock();
const { signal } = new AbortController();

// What the configs ask for is what a real containerd makes of them: the container itself says what it sees.
describe('a pod on containerd', () => {
  const instance = mkdtemp(join(tmpdir(), 'kl-pod-')).then(instanceLayout);
  const pods = new Set<Pod>();
  let containerd: ManagedContainerd;
  let connection: RuntimeConnection;
  let settings: NodeSettings;
  let volumes: HostVolumeManager;
  let configs: PodConfigFactory;
  let images: CriImageManager;
  let gc: RuntimeContainerGC;

  beforeAll(async () => {
    const layout = await instance;
    containerd = new ManagedContainerd({
      layout,
      podCIDR: '10.250.7.0/24',
      pauseImage: PAUSE,
      clock,
      logger: silentLogger,
    });
    await containerd.start(signal);
    const archive = await writeBusyboxArchive([BUSYBOX, PAUSE]);
    await promisify(execFile)('ctr', ['-a', layout.containerd.socket, '-n', 'k8s.io', 'images', 'import', archive]);
    await rm(dirname(archive), { recursive: true });
    connection = connectRuntime({ endpoint: containerd.endpoint, clock, logger: silentLogger });
    const resolvConf = join(layout.rootDir, 'resolv.conf');
    writeFileSync(resolvConf, 'nameserver 192.0.2.53\nsearch example.com\noptions ndots:2\n');
    const { podsDir, podLogsDir, cgroupParent } = layout;
    settings = {
      nodeName: 'node',
      hostIP: '192.0.2.1',
      podsDir,
      podLogsDir,
      cgroupParent,
      resolvConf,
      clusterDNS: [],
      clusterDomain: 'cluster.local',
      memoryCapacityBytes: 1 << 30,
    };
    const capacity = { cpuMillis: 2000, memoryBytes: 1 << 30, ephemeralStorageBytes: 8192 };
    const objects = {
      configMap: async () => ({ metadata: {}, data: { key: 'from a config map' } }),
      secret: async () => ({ metadata: {}, data: { key: Buffer.from('hidden').toString('base64') } }),
    };
    const mounter = new HostMounter();
    volumes = new HostVolumeManager({ settings, capacity, objects, mounter, clock });
    const services = async () => [];
    const { images: imageService } = connection;
    const recorder = { event() {} };
    configs = new PodConfigFactory({ settings, capacity, objects, images: imageService, mounter, services, recorder });
    images = new CriImageManager({ images: connection.images, clock, recorder });
    gc = new RuntimeContainerGC({ runtime: connection.runtime, settings, clock });
  });

  afterAll(async () => {
    const layout = await instance;
    for (const pod of pods) await volumes.tearDown(pod.metadata.uid!);
    connection?.close();
    await containerd?.stop();
    await removeContainerdState(layout, clock, { keepImages: false });
    await rm(layout.rootDir, { recursive: true, force: true });
    await rm(layout.runDir, { recursive: true, force: true });
  });

  interface Ran {
    readonly output: string;
    readonly errors: string;
    readonly message: string;
    readonly exitCode: number;
    readonly ip: string;
    /** Of the pod's cgroup: `cpu.weight`, or `cpu.shares` with cgroup v1. */
    readonly share: string;
  }

  function newPod(script: string, container: Partial<Container> = {}, spec: Partial<PodSpec> = {}): Pod {
    const pod: Pod = {
      metadata: { name: `p${pods.size}`, namespace: 'ns', uid: `uid-${pods.size}`, labels: { app: 'x' } },
      spec: {
        dnsPolicy: 'Default',
        ...spec,
        containers: [
          {
            name: 'app',
            image: 'busybox',
            imagePullPolicy: 'Never',
            command: ['sh', '-c', script],
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'FallbackToLogsOnError',
            ...container,
          },
        ],
      },
      status: { qosClass: container.resources ? 'Burstable' : 'BestEffort' },
    };
    pods.add(pod);
    return pod;
  }

  /** Runs the pod's container to its end, removes the pod, and says what it printed. */
  async function run(pod: Pod): Promise<Ran> {
    const { runtime } = connection;
    const uid = pod.metadata.uid!;
    const container = pod.spec!.containers[0]!;
    const mounted = await volumes.setUp(pod, signal);
    if (!mounted.ok) throw new Error(mounted.failures[0]!.message);
    const sandboxConfig = await configs.sandboxConfig(pod, 0);
    const sandbox = await runtime.runPodSandbox(sandboxConfig, '');
    try {
      new HostPodCgroups({ parent: settings.cgroupParent, pods: () => [pod], logger: silentLogger }).set(pod);
      const cgroup = join('/sys/fs/cgroup', podCgroup(settings.cgroupParent, uid, pod.status!.qosClass));
      const share = existsSync(cgroup)
        ? readFileSync(join(cgroup, 'cpu.weight'), 'utf8')
        : readFileSync(join(cgroup.replace('/sys/fs/cgroup', '/sys/fs/cgroup/cpu'), 'cpu.shares'), 'utf8');
      const ip = (await runtime.podSandboxStatus(sandbox)).network?.ip ?? '';
      const image = await images.ensureImage(pod, container, sandboxConfig, signal);
      if (!image.ok) throw new Error(image.message);
      const config = await configs.containerConfig({
        pod,
        container,
        restartCount: 0,
        imageRef: image.value.imageRef,
        volumes: mounted.volumes,
        podIPs: [ip],
      });
      if (!config.ok) throw new Error(`${config.reason}: ${config.message}`);
      const id = await runtime.createContainer(sandbox, config.value, sandboxConfig);
      await runtime.startContainer(id);
      let status = await runtime.containerStatus(id);
      while (status.finishedAt === 0n) {
        await clock.sleep(20);
        status = await runtime.containerStatus(id);
      }
      const lines = readFileSync(status.logPath, 'utf8')
        .split('\n')
        .map((line) => line.split(' '));
      const textOf = (stream: string): string =>
        lines
          .filter((words) => words[1] === stream)
          .map((words) => words.slice(3).join(' '))
          .join('\n');
      return {
        output: textOf('stdout'),
        errors: textOf('stderr'),
        message: await readTerminationMessage({
          messageFile: terminationMessageFile(settings.podsDir, uid, 'app', 0),
          policy: container.terminationMessagePolicy!,
          exitCode: status.exitCode,
          logFile: status.logPath,
        }),
        exitCode: status.exitCode,
        ip,
        share: share.trim(),
      };
    } finally {
      await runtime.stopPodSandbox(sandbox);
      await runtime.removePodSandbox(sandbox);
    }
  }

  test('has its share of the CPU against other pods', async () => {
    const ran = await run(newPod('true', { resources: { requests: { cpu: '250m' } } }));
    expect(['10', '256']).toContain(ran.share);
  });

  test('says which path of the host is missing below a subPath', async () => {
    const pod = newPod('true', { volumeMounts: [{ name: 'h', mountPath: '/h', subPath: 'a' }] });
    const container = pod.spec.containers[0]!;
    const mounted = new Map([['h', { hostPath: '/no/such/directory', readOnly: false }]]);
    const given = { pod, container, restartCount: 0, imageRef: 'i', volumes: mounted, podIPs: ['192.0.2.9'] };
    expect(await configs.containerConfig(given)).toEqual({
      ok: false,
      reason: 'CreateContainerConfigError',
      message: 'stat /no/such/directory: no such file or directory',
    });
  });

  test('sees its name, its DNS and its hosts file', async () => {
    const ran = await run(
      newPod('cat /etc/hostname /etc/resolv.conf /etc/hosts', {}, { hostname: 'web', subdomain: 's' }),
    );
    expect(ran.output).toBe(
      [
        'web',
        'search example.com',
        'nameserver 192.0.2.53',
        'options ndots:2',
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        `${ran.ip}\tweb.s.ns.svc.cluster.local\tweb`,
      ].join('\n'),
    );
  });

  test('has its environment, arguments and working directory', async () => {
    const ran = await run(
      newPod('', {
        command: ['sh', '-c', 'echo "$A|$B|$IP|$1"; cd "$OLDPWD" 2>/dev/null; echo "$PWD"'],
        args: ['name', '$(A)-$(NOPE)'],
        env: [
          { name: 'A', value: 'a' },
          { name: 'B', valueFrom: { configMapKeyRef: { name: 'cm', key: 'key' } } },
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        ],
        workingDir: '/tmp',
      }),
    );
    expect(ran.output).toBe(`a|from a config map|${ran.ip}|a-$(NOPE)\n/tmp`);
  });

  test('shares volumes, of every kind, and subPaths', async () => {
    const layout = await instance;
    mkdirSync(join(layout.rootDir, 'host'), { recursive: true });
    writeFileSync(join(layout.rootDir, 'host/file'), 'of the host\n');
    const script = `
      echo data > /disk/sub/f; cat /sub/f /one; cat /cm/key; echo; cat /secret/key; echo; cat /labels/l; echo
      echo x > /ro/f; echo y > /cm/key2
      cat /proc/mounts | while read d m t o r; do case $m in /memory|/secret) echo $m $t $o;; esac; done`;
    const ran = await run(
      newPod(
        script,
        {
          volumeMounts: [
            { name: 'disk', mountPath: '/disk' },
            { name: 'disk', mountPath: '/sub', subPath: 'sub' },
            { name: 'disk', mountPath: '/ro', readOnly: true },
            { name: 'memory', mountPath: '/memory' },
            { name: 'host', mountPath: '/one', subPath: 'file' },
            { name: 'cm', mountPath: '/cm' },
            { name: 'secret', mountPath: '/secret' },
            { name: 'labels', mountPath: '/labels' },
          ],
        },
        {
          volumes: [
            { name: 'disk', emptyDir: {} },
            { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
            { name: 'host', hostPath: { path: join(layout.rootDir, 'host'), type: 'Directory' } },
            { name: 'cm', configMap: { name: 'cm' } },
            { name: 'secret', secret: { secretName: 's' } },
            { name: 'labels', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] } },
          ],
        },
      ),
    );
    const lines = ran.output.split('\n');
    expect(lines.slice(0, 5)).toEqual(['data', 'of the host', 'from a config map', 'hidden', 'app="x"']);
    expect(ran.errors).toContain("can't create /ro/f: Read-only file system");
    expect(ran.errors).toContain("can't create /cm/key2: Read-only file system");
    expect(ran.output).toMatch(/^\/memory tmpfs rw,.*size=1024k/m);
    expect(ran.output).toMatch(/^\/secret tmpfs ro,/m);
  });

  test('runs as whom, with what and how much it says', async () => {
    const script = `
      while read k v; do case $k in Uid:|Gid:|Groups:|NoNewPrivs:|CapEff:) echo $k $v;; esac; done < /proc/self/status
      cat /proc/self/oom_score_adj; echo x > /file; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/self/cgroup`;
    const ran = await run(
      newPod(
        script,
        {
          resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
          securityContext: {
            runAsUser: 1234,
            runAsNonRoot: true,
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
        },
        {
          securityContext: {
            runAsGroup: 99,
            fsGroup: 4321,
            supplementalGroups: [77],
            sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }],
          },
        },
      ),
    );
    for (const line of ['Uid: 1234 1234 1234 1234', 'Gid: 99 99 99 99', 'NoNewPrivs: 1', 'CapEff: 0000000000000000']) {
      expect(ran.output.replaceAll('\t', ' ')).toContain(line);
    }
    expect(ran.output).toMatch(/Groups:.*\b77\b.*\b4321\b/);
    expect(ran.output).toMatch(/^750$/m);
    expect(ran.errors).toContain("can't create /file: Read-only file system");
    expect(ran.output).toMatch(/^80$/m);
  });

  test('has a cgroup of its own, and leaves none behind', async () => {
    const pod = newPod('cat /proc/self/cgroup', { resources: { limits: { cpu: '500m', memory: '64Mi' } } });
    const uid = pod.metadata.uid!;
    const cgroup = podCgroup(settings.cgroupParent, uid, 'Burstable');
    const { runtime } = connection;
    const sandboxConfig = await configs.sandboxConfig(pod, 0);
    const sandbox = await runtime.runPodSandbox(sandboxConfig, '');
    const exists = (): boolean => ['', 'memory', 'unified'].some((h) => existsSync(join('/sys/fs/cgroup', h, cgroup)));
    expect(exists()).toBe(true);
    await runtime.stopPodSandbox(sandbox);
    await runtime.removePodSandbox(sandbox);
    await gc.removePod({ podUID: uid, namespace: 'ns', name: pod.metadata.name! });
    expect(exists()).toBe(false);
    expect(existsSync(sandboxConfig.logDirectory)).toBe(false);
  });

  test('has the last word', async () => {
    expect((await run(newPod('echo -n bye > /dev/termination-log; exit 3'))).message).toBe('bye');
    const other = await run(newPod('echo to the log; exit 4', { terminationMessagePath: '/tmp/words' }));
    expect(other).toMatchObject({ message: 'to the log\n', exitCode: 4 });
  });

  test('does not run as root when it must not', async () => {
    const pod = newPod('true', { securityContext: { runAsNonRoot: true } });
    await expect(run(pod)).rejects.toThrow(
      `CreateContainerConfigError: container has runAsNonRoot and image will run as root (pod: "${pod.metadata.name}_ns(${pod.metadata.uid})", container: app)`,
    );
  });

  test("on the host's network", async () => {
    const ran = await run(newPod('cat /etc/hosts; cat /etc/hostname', {}, { hostNetwork: true }));
    expect(ran.output.split('\n')[0]).toBe('# Kubernetes-managed hosts file (host network).');
    expect(ran.output).toContain(readFileSync('/etc/hosts', 'utf8').trim());
  });

  test('an image that is not there', async () => {
    const pod = newPod('true', { image: 'no-such-image:1' });
    await expect(run(pod)).rejects.toThrow(
      'Container image "no-such-image:1" is not present with pull policy of Never',
    );
  });
});
