import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { abortReason, messageOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import type { Logger } from '../lib/logger.ts';
import { identifyProcess, isAlive, type ProcessIdentity, sendSignal } from '../lib/process-identity.ts';
import { writeCniConfig } from './cni-config.ts';
import { containerdConfig, mirrorHostsToml } from './containerd-config.ts';
import { connectRuntime } from './cri-client.ts';
import { CriError } from './cri-error.ts';
import { CAP_SYS_RESOURCE, findProcesses, hasCapability, overlayWorks } from './host-facts.ts';
import { type ContainerdPrograms, findContainerdPrograms, systemPath } from './host-programs.ts';
import { mountTable } from './mount-table.ts';
import { replaceFile } from './replace-file.ts';
import { ShimlessTasks } from './shimless-tasks.ts';
import { sweepLostShims } from './shims.ts';
import { connectionLost, fileAppears } from './socket-events.ts';

export interface ManagedContainerdOptions {
  readonly layout: InstanceLayout;
  /** IPv4 network of the pods. */
  readonly podCIDR: string;
  readonly pauseImage: string;
  /** URL (http or https) that every registry's images are looked for at first. */
  readonly registryMirror?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long containerd may take until CRI answers. It needs a fraction of a second, but must take up all that ran before. */
const START_TIMEOUT_MS = 30_000;
/** How long one that already runs may take to answer before it is replaced. */
const ADOPT_TIMEOUT_MS = 10_000;
/** How long it may take to end after SIGTERM. */
const STOP_TIMEOUT_MS = 10_000;
/** Between looks at something that gives no event (the end of a process that is not our child). */
const LOOK_AGAIN_MS = 5;
const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 10_000;
/** One that ran so long was healthy: its successor starts at once. */
const HEALTHY_AFTER_MS = 10_000;
/** The log is set aside at the next start when it has grown beyond this. */
const LOG_MAX_BYTES = 10 << 20;

/**
 * A private containerd of one instance: found, configured for this host, started, adopted when it already runs, and started again
 * when it dies. It is in a session and a cgroup of its own, so that it outlives us, as the containers outlive it.
 */
export class ManagedContainerd {
  /** For `connectRuntime`. */
  readonly endpoint: string;
  /** For `connectRuntime`. */
  readonly tasks: ShimlessTasks;
  private readonly options: ManagedContainerdOptions;
  private readonly logger: Logger;
  private process: ProcessIdentity | undefined;
  private supervising: AbortController | undefined;
  private supervised: Promise<void> = Promise.resolve();

  constructor(options: ManagedContainerdOptions) {
    this.options = options;
    this.logger = options.logger.child({ component: 'containerd' });
    this.endpoint = `unix://${options.layout.containerd.socket}`;
    this.tasks = new ShimlessTasks({ ...options.layout.containerd, clock: options.clock, logger: this.logger });
  }

  /** Its process id while it runs. */
  get pid(): number | undefined {
    return this.process && isAlive(this.process) ? this.process.pid : undefined;
  }

  /**
   * Resolves once CRI answers; from then on containerd is started again whenever it dies, until `detach` or `stop`. One that runs
   * already is adopted, unless it was started with another configuration. Throws UserError when it cannot be started.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { layout, podCIDR } = this.options;
    const programs = findContainerdPrograms();
    const { root, state } = layout.containerd;
    await Promise.all([layout.runDir, root, state].map((dir) => mkdir(dir, { recursive: true, mode: 0o711 })));
    await writeCniConfig(layout, podCIDR);
    const changed = await this.writeConfig(programs);
    this.process = findContainerd(layout);
    if (this.process && changed) {
      this.logger.info({ pid: this.process.pid }, 'containerd runs with another configuration; starting it again');
      await this.terminate();
    } else if (this.process && !(await this.adopt(signal))) {
      await this.terminate();
    }
    if (!this.process) await this.launch(programs.containerd, signal);
    this.supervising = new AbortController();
    this.supervised = this.supervise(programs.containerd, this.supervising.signal);
  }

  /** Stops watching over it, and leaves it running. */
  async detach(): Promise<void> {
    this.supervising?.abort();
    await Promise.all([this.supervised, this.tasks.close()]);
  }

  /** Ends containerd. Containers live on: stop the pods first. Idempotent; also stops one that another process of ours started. */
  async stop(): Promise<void> {
    await this.detach();
    this.process ??= findContainerd(this.options.layout);
    await this.terminate();
  }

  /** Writes what containerd reads. Resolves with whether the main file is another than before. */
  private async writeConfig(programs: ContainerdPrograms): Promise<boolean> {
    const { layout, pauseImage, registryMirror } = this.options;
    const { config, root, state, socket } = layout.containerd;
    const registryConfigDir = join(layout.runDir, 'registries');
    const before = await readFile(config, 'utf8').catch(() => '');
    const after = containerdConfig({
      root,
      state,
      socket,
      cgroup: cgroupOf(layout),
      runc: programs.runc,
      registryConfigDir,
      cniBinDir: programs.cniBinDir,
      cniConfDir: layout.cni.confDir,
      pauseImage,
      snapshotter: await this.snapshotter(before),
      mayLowerOomScore: hasCapability(CAP_SYS_RESOURCE),
    });
    if (registryMirror === undefined) {
      await rm(registryConfigDir, { recursive: true, force: true });
    } else {
      const dir = join(registryConfigDir, '_default');
      await mkdir(dir, { recursive: true });
      await replaceFile(join(dir, 'hosts.toml'), mirrorHostsToml(checkMirror(registryMirror)));
    }
    return replaceFile(config, after);
  }

  /** Decided once per root directory: what was unpacked with one snapshotter is lost to the other. */
  private async snapshotter(configBefore: string): Promise<'overlayfs' | 'native'> {
    const { root } = this.options.layout.containerd;
    const decided = /^snapshotter = "(overlayfs|native)"$/m.exec(configBefore)?.[1];
    if (decided) return decided as 'overlayfs' | 'native';
    if (await overlayWorks(root)) return 'overlayfs';
    this.logger.warn({ root }, 'overlayfs does not work here: images are copied for every container');
    return 'native';
  }

  /** Whether the one that runs answers. */
  private async adopt(signal: AbortSignal): Promise<boolean> {
    try {
      await this.untilReady(ADOPT_TIMEOUT_MS, signal);
      this.logger.info({ pid: this.process?.pid }, 'containerd runs already');
      return true;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.logger.warn({ error: messageOf(error) }, 'containerd runs but does not answer; starting it again');
      return false;
    }
  }

  private async launch(program: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal);
    const { config, log, pidFile, socket } = this.options.layout.containerd;
    // Of one that was killed. The new socket file then is the sign that somebody listens.
    await rm(socket, { force: true });
    const logBytes = await stat(log).then(
      (s) => s.size,
      () => 0,
    );
    if (logBytes > LOG_MAX_BYTES) await rename(log, `${log}.old`);
    makeCgroup(cgroupOf(this.options.layout));
    const began = this.options.clock.monotonic();
    const over = new AbortController();
    const logFile = await open(log, 'a', 0o600);
    let started: Promise<void> | undefined;
    try {
      const logStart = (await logFile.stat()).size;
      const child = spawn(program, ['--config', config], {
        cwd: '/',
        detached: true,
        stdio: ['ignore', logFile.fd, logFile.fd],
        env: environment(),
      });
      const ended = new Promise<never>((_, reject) => {
        const fail = async (how: string): Promise<void> => reject(await startError(how, log, logStart));
        child.once('error', (error) => void fail(error.message));
        child.once('exit', (code, killedBy) => void fail(killedBy ? `killed by ${killedBy}` : `exit code ${code}`));
      });
      ended.catch(() => {});
      child.unref();
      if (child.pid !== undefined) {
        this.process = identifyProcess(child.pid);
        if (this.process) await replaceFile(pidFile, `${this.process.pid} ${this.process.startTime}\n`);
      }
      started = this.untilReady(START_TIMEOUT_MS, AbortSignal.any([signal, over.signal]));
      await Promise.race([ended, started]);
    } catch (error) {
      over.abort();
      await started?.catch(() => {});
      await this.terminate();
      if (signal.aborted) throw abortReason(signal);
      if (error instanceof UserError) throw error;
      throw new UserError(`containerd does not answer within ${START_TIMEOUT_MS / 1000} s of its start`, {
        hint: `see ${log}`,
        cause: error,
      });
    } finally {
      await logFile.close();
    }
    const startMs = Math.round(this.options.clock.monotonic() - began);
    this.logger.info({ pid: this.process?.pid, startMs }, 'containerd started');
  }

  /** Resolves once CRI answers on the socket; rejects with an AbortError after `timeoutMs` or when the signal aborts. */
  private async untilReady(timeoutMs: number, outer: AbortSignal): Promise<void> {
    const { clock, layout } = this.options;
    const late = new AbortController();
    const signal = AbortSignal.any([outer, late.signal]);
    const timer = clock.setTimer(timeoutMs, () => late.abort());
    const { runtime, close } = connectRuntime({ endpoint: this.endpoint, clock, logger: this.logger });
    try {
      await fileAppears(layout.containerd.socket, signal);
      for (;;) {
        try {
          await runtime.status({ signal });
          return;
        } catch (error) {
          // Between bind and listen nobody answers; after that CRI says for a moment that it is not initialized.
          if (!(error instanceof CriError)) throw error;
          await clock.sleep(LOOK_AGAIN_MS, signal);
        }
      }
    } finally {
      timer.cancel();
      close();
    }
  }

  /** Starts it again whenever it has died, and ends what was lost with it. Never rejects. */
  private async supervise(program: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    let delayMs = 0;
    while (!signal.aborted) {
      const began = clock.monotonic();
      const dead = new AbortController();
      const swept = this.sweep(AbortSignal.any([signal, dead.signal]));
      this.tasks.sweepSoon();
      await this.untilDead(signal);
      dead.abort();
      await swept;
      if (signal.aborted) return;
      this.logger.warn({ pid: this.process?.pid }, 'containerd has died; starting it again');
      const healthy = clock.monotonic() - began > HEALTHY_AFTER_MS;
      delayMs = healthy ? 0 : Math.min(Math.max(RESTART_MIN_MS, delayMs * 2), RESTART_MAX_MS);
      await clock.sleep(delayMs, signal).catch(() => {});
      if (signal.aborted) return;
      // Whoever wants to leave waits until it is up: half started is worse than either.
      await this.launch(program, new AbortController().signal).catch((error: unknown) => {
        this.logger.error({ error: messageOf(error) }, 'containerd cannot be started');
      });
    }
  }

  private async sweep(signal: AbortSignal): Promise<void> {
    const { process: containerd, logger } = this;
    if (!containerd) return;
    const { clock, layout } = this.options;
    const { socket } = layout.containerd;
    const { runtime, close } = connectRuntime({ endpoint: this.endpoint, clock, logger });
    try {
      await sweepLostShims({ containerd, socket, runtime, clock, logger, signal });
    } finally {
      close();
    }
  }

  /** Resolves when the process is gone, told by its connection, or when the signal aborts. */
  private async untilDead(signal: AbortSignal): Promise<void> {
    const { clock, layout } = this.options;
    let delayMs = LOOK_AGAIN_MS;
    while (this.process && isAlive(this.process) && !signal.aborted) {
      const began = clock.monotonic();
      await connectionLost(layout.containerd.socket, signal);
      // A connection breaks a moment before its process is gone; one that breaks again and again is something else.
      delayMs = clock.monotonic() - began > 1000 ? LOOK_AGAIN_MS : Math.min(delayMs * 2, 1000);
      await clock.sleep(delayMs, signal).catch(() => {});
    }
  }

  private async terminate(): Promise<void> {
    const { process: target } = this;
    const { clock, layout } = this.options;
    this.process = undefined;
    if (target) {
      const deadline = clock.monotonic() + STOP_TIMEOUT_MS;
      if (isAlive(target)) sendSignal(target.pid, 'SIGTERM');
      while (isAlive(target)) {
        if (clock.monotonic() > deadline) sendSignal(target.pid, 'SIGKILL');
        await clock.sleep(LOOK_AGAIN_MS);
      }
    }
    const { pidFile, socket } = layout.containerd;
    await Promise.all([pidFile, socket, `${socket}.ttrpc`].map((path) => rm(path, { force: true })));
  }
}

/** The containerd of this instance that runs now, whoever started it, or undefined. */
export function findContainerd(layout: InstanceLayout): ProcessIdentity | undefined {
  const { config, pidFile } = layout.containerd;
  const [pid, startTime] = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim().split(' ') : [];
  const noted = pid === undefined ? undefined : identifyProcess(Number(pid));
  if (noted && noted.startTime === startTime) return noted;
  // We may have been killed between its start and the note.
  return findProcesses((command) => command[0]?.endsWith('containerd') === true && command.includes(config))[0];
}

/** Where containerd itself runs, so that it does not end with the cgroup (the service, the CI step) that started us. */
function cgroupOf(layout: InstanceLayout): string {
  return `${layout.cgroupParent}/containerd`;
}

/** containerd makes its cgroup itself, but for cgroup v2, where it wants to find it (services/server/server_linux.go). */
function makeCgroup(cgroup: string): void {
  const unified = mountTable().findLast(({ path }) => path === '/sys/fs/cgroup')?.type === 'cgroup2';
  if (unified) mkdirSync(join('/sys/fs/cgroup', cgroup), { recursive: true });
}

/** Our environment (proxies and certificates are set there), without what concerns only us. */
function environment(): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET: _, LISTEN_FDS: __, LISTEN_PID: ___, NODE_CHANNEL_FD: ____, ...rest } = process.env;
  return { ...rest, PATH: systemPath() };
}

/** What containerd said last, as the reason why it did not start. */
async function startError(how: string, log: string, logStart: number): Promise<UserError> {
  const said = (await readFile(log, 'utf8').catch(() => '')).slice(logStart).trim().split('\n').at(-1)!.slice(0, 500);
  return new UserError(`containerd did not start (${how})${said && `: ${said}`}`, { hint: `see ${log}` });
}

/** The mirror's URL without a slash at its end. Throws UserError when it is none. */
function checkMirror(mirror: string): string {
  if (/^https?:$/.test(URL.parse(mirror)?.protocol ?? '')) return mirror.replace(/\/+$/, '');
  throw new UserError(`registry mirror ${JSON.stringify(mirror)}: must be a URL, as http://127.0.0.1:5000`);
}
