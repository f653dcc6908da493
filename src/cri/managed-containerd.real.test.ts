import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../lib/clock.ts';
import { type InstanceLayout, instanceLayout } from '../lib/instance.ts';
import { silentLogger } from '../lib/logger.ts';
import { identifyProcess, isAlive } from '../lib/process-identity.ts';
import { writeBusyboxArchive } from './busybox-archive.ts';
import { connectRuntime } from './cri-client.ts';
import { ContainerConfig, ContainerState, PodSandboxConfig, PodSandboxState } from './generated/cri.ts';
import { ManagedContainerd } from './managed-containerd.ts';
import { removeContainerdState } from './remove-containerd-state.ts';
import { runtimeServiceCases } from './runtime-service.case.ts';
import { findShims, sandboxOf, shimSocket } from './shims.ts';

const BUSYBOX = 'docker.io/library/busybox:latest';
const PAUSE = 'registry.k8s.io/pause:3.10';
const clock = new SystemClock();
const logger = silentLogger;
const never = new AbortController().signal;

async function newInstance(podCIDR: string): Promise<{ layout: InstanceLayout; managed: () => ManagedContainerd }> {
  const layout = instanceLayout(await mkdtemp(join(tmpdir(), 'managed-containerd-')));
  const managed = () => new ManagedContainerd({ layout, podCIDR, pauseImage: PAUSE, clock, logger });
  return { layout, managed };
}

async function importImages(layout: InstanceLayout): Promise<void> {
  const archive = await writeBusyboxArchive([BUSYBOX, PAUSE]);
  const ctr = ['-a', layout.containerd.socket, '-n', 'k8s.io', 'images', 'import', archive];
  await promisify(execFile)('ctr', ctr);
  await rm(dirname(archive), { recursive: true });
}

async function removeInstance(layout: InstanceLayout): Promise<void> {
  await removeContainerdState(layout, clock, { keepImages: false });
  await rm(layout.rootDir, { recursive: true, force: true });
  await rm(layout.runDir, { recursive: true, force: true });
}

runtimeServiceCases('a private containerd', async () => {
  const { layout, managed } = await newInstance('10.251.0.0/24');
  const containerd = managed();
  try {
    await containerd.start(never);
    await importImages(layout);
  } catch (error) {
    await containerd.stop();
    await removeInstance(layout);
    throw error;
  }
  const { runtime, images, close } = connectRuntime({ endpoint: containerd.endpoint, clock, logger });
  return {
    runtime,
    images,
    image: BUSYBOX,
    cgroupParent: layout.cgroupParent,
    logDirectory: layout.podLogsDir,
    pass: (ms) => clock.sleep(ms),
    readLog: (path) => readFile(path, 'utf8'),
    restart: async () => {
      process.kill(containerd.pid!, 'SIGKILL');
      for (;;) {
        try {
          return void (await runtime.status());
        } catch {
          await clock.sleep(10);
        }
      }
    },
    close: async () => {
      close();
      await containerd.stop();
      await removeInstance(layout);
    },
  };
});

describe('ManagedContainerd', () => {
  let layout: InstanceLayout;
  let managed: () => ManagedContainerd;
  beforeAll(async () => {
    ({ layout, managed } = await newInstance('10.252.0.0/24'));
  });
  afterAll(() => removeInstance(layout));

  it('is adopted by the next agent, and outlives both', async () => {
    const first = managed();
    await first.start(never);
    const { pid } = first;
    await first.detach();

    const second = managed();
    await second.start(never);
    expect(second.pid).toBe(pid);
    await second.detach();

    // As after a kill between the start and the note of it.
    await rm(layout.containerd.pidFile);
    const third = managed();
    await third.start(never);
    expect(third.pid).toBe(pid);
    const session = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[3];
    expect(Number(session)).toBe(pid);
    await third.stop();
    expect(identifyProcess(pid!)).toBeUndefined();
    expect(existsSync(layout.containerd.socket)).toBe(false);
  });

  it('starts one that runs with another configuration again', async () => {
    const first = managed();
    await first.start(never);
    const { pid } = first;
    await first.detach();
    const options = { layout, podCIDR: '10.252.0.0/24', pauseImage: 'example.com/other/pause:1', clock, logger };
    const second = new ManagedContainerd(options);
    await second.start(never);
    expect(second.pid).not.toBe(pid);
    await second.stop();
  });

  it('says in one sentence why containerd cannot start', async () => {
    const { layout: crowded } = await newInstance('10.253.0.0/24');
    const options = { podCIDR: '10.253.0.0/24', pauseImage: PAUSE, clock, logger };
    await expect(new ManagedContainerd({ ...options, layout: crowded, podCIDR: 'x' }).start(never)).rejects.toThrow(
      'pod CIDR "x": must be an IPv4 network',
    );
    const unstartable = {
      ...crowded,
      containerd: { ...crowded.containerd, socket: `${crowded.runDir}/${'x'.repeat(100)}` },
    };
    const failure = new ManagedContainerd({ ...options, layout: unstartable }).start(never);
    await expect(failure).rejects.toThrow(/^containerd did not start \(exit code 1\): containerd: .*too long/);
    const cancelled = new ManagedContainerd({ ...options, layout: crowded });
    await expect(cancelled.start(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
    expect(cancelled.pid).toBeUndefined();
    await removeInstance(crowded);
  });

  /** A containerd with one pod that runs. */
  async function startWithPod(): Promise<{ containerd: ManagedContainerd; sandbox: string; container: string }> {
    const containerd = managed();
    await containerd.start(never);
    await importImages(layout);
    const { runtime, close } = connectRuntime({ endpoint: containerd.endpoint, clock, logger });
    const config = PodSandboxConfig.fromPartial({
      metadata: { name: 'left', namespace: 'ns', uid: 'left-uid', attempt: 0 },
      logDirectory: layout.podLogsDir,
      linux: { cgroupParent: `${layout.cgroupParent}/left`, securityContext: { namespaceOptions: {} } },
    });
    const sandbox = await runtime.runPodSandbox(config, '');
    const containerConfig = ContainerConfig.fromPartial({
      metadata: { name: 'app' },
      image: { image: BUSYBOX },
      command: ['sleep', '100000'],
      logPath: 'app.log',
      linux: { resources: { oomScoreAdj: 1000n }, securityContext: {} },
    });
    const container = await runtime.createContainer(sandbox, containerConfig, config);
    await runtime.startContainer(container);
    expect(await runtime.containerStatus(container)).toMatchObject({ state: ContainerState.CONTAINER_RUNNING });
    close();
    return { containerd, sandbox, container };
  }

  it('keeps the images when it is stopped without grace, and can take away what it finds afterwards', async () => {
    const { containerd, sandbox } = await startWithPod();
    await containerd.stop();
    await removeContainerdState(layout, clock, { keepImages: true });
    await containerd.start(never);
    const { runtime, images, close } = connectRuntime({ endpoint: containerd.endpoint, clock, logger });
    expect(await images.imageStatus(BUSYBOX)).toBeDefined();
    const left = await runtime.listPodSandbox();
    expect(left).toMatchObject([{ id: sandbox, state: PodSandboxState.SANDBOX_NOTREADY }]);
    await runtime.stopPodSandbox(sandbox);
    await runtime.removePodSandbox(sandbox);
    expect(await runtime.listPodSandbox()).toEqual([]);
    expect(await runtime.listContainers()).toEqual([]);
    close();
    await containerd.stop();
  });

  it('ends what a killed shim leaves when containerd does not', async () => {
    const { containerd, sandbox, container } = await startWithPod();
    const { endpoint, tasks } = containerd;
    const { runtime, close } = connectRuntime({ endpoint, clock, logger, tasks });
    await tasks.end(sandbox);
    expect(await runtime.containerStatus(container)).toMatchObject({ state: ContainerState.CONTAINER_RUNNING });
    await containerd.stop();
    const shims = findShims(layout.containerd.socket);
    expect(shims.map(sandboxOf)).toEqual([sandbox]);
    expect(existsSync(shimSocket(layout.containerd.socket, sandbox))).toBe(true);
    for (const { pid } of shims) process.kill(pid, 'SIGKILL');
    while (shims.some(isAlive)) await clock.sleep(10);
    expect(await commandLines()).toContain('sleep\x00100000');

    await tasks.end(sandbox);
    expect(await commandLines()).not.toContain('sleep\x00100000');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(container);
    await containerd.start(never);
    await runtime.stopPodSandbox(sandbox);
    await runtime.removePodSandbox(sandbox);
    const files = await readdir(layout.containerd.state, { recursive: true });
    expect(files.filter((file) => file.endsWith(container))).toEqual([]);
    expect(existsSync(shimSocket(layout.containerd.socket, sandbox))).toBe(false);
    close();
    await containerd.stop();
  });

  it('leaves nothing on the host when it is removed, even with pods running and containerd killed', async () => {
    const { containerd, sandbox, container } = await startWithPod();
    await containerd.detach();
    process.kill(containerd.pid!, 'SIGKILL');

    await removeContainerdState(layout, clock, { keepImages: false });
    await removeContainerdState(layout, clock, { keepImages: false });
    const host = [
      readFileSync('/proc/self/mountinfo', 'utf8'),
      await commandLines(),
      (await readdir('/sys/class/net')).join('\n'),
      (await readdir('/var/lib/cni/results').catch(() => [])).join('\n'),
      (await readdir('/run/containerd/runc/k8s.io').catch(() => [])).join('\n'),
    ].join('\n');
    const traces = [layout.rootDir, layout.runDir, sandbox, container, layout.bridge];
    expect(traces.filter((trace) => host.includes(trace))).toEqual([]);
    const cgroups = await promisify(execFile)('find', ['/sys/fs/cgroup', '-name', layout.id]);
    expect(cgroups.stdout).toBe('');
    expect(existsSync(layout.containerd.root)).toBe(false);
    expect(existsSync(layout.containerd.state)).toBe(false);
  });
});

async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.join('\n');
}
