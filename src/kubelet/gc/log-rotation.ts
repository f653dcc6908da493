import { createReadStream, createWriteStream, readdirSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { formatTime } from '../../api/time.ts';
import { ContainerState } from '../../cri/generated/cri.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { LABELS } from '../runtime-status.ts';

/** The kubelet's defaults: containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval. */
const MAX_BYTES = 10 << 20;
const MAX_FILES = 5;
const INTERVAL_MS = 10_000;

/**
 * Keeps containers' logs from filling the disk: one that has grown over 10 MiB is set aside as `N.log.TIME` and a new one begun, at most 5
 * files each, all but the two newest compressed (`pkg/kubelet/logs/container_log_manager.go`).
 */
export class LogRotation {
  private readonly runtime: Pick<RuntimeService, 'listContainers' | 'reopenContainerLog'>;
  private readonly podLogsDir: string;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(options: {
    readonly runtime: Pick<RuntimeService, 'listContainers' | 'reopenContainerLog'>;
    readonly podLogsDir: string;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.runtime = options.runtime;
    this.podLogsDir = options.podLogsDir;
    this.clock = options.clock;
    this.logger = options.logger;
  }

  /** Looks every 10 s until the signal aborts; then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.clock.sleep(INTERVAL_MS, signal);
        await this.check();
      }
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
  }

  /**
   * Looks once: a `stat` per container, and calls to the runtime only for a log that is too long. Never rejects. It looks without letting
   * others in between: that takes 25 us a container, and an eighth of the processor time.
   */
  async check(): Promise<void> {
    for (const podDir of names(this.podLogsDir)) {
      for (const container of names(join(this.podLogsDir, podDir))) {
        const dir = join(this.podLogsDir, podDir, container);
        try {
          await this.checkContainer(dir, podDir.slice(podDir.lastIndexOf('_') + 1), container);
        } catch (error) {
          if (errnoOf(error) !== 'ENOENT') this.logger.warn({ dir, error: messageOf(error) }, 'log not rotated');
        }
      }
    }
  }

  private async checkContainer(dir: string, podUID: string, container: string): Promise<void> {
    const files = names(dir);
    const newest = Math.max(...files.map((file) => Number(/^(\d+)\.log$/.exec(file)?.[1] ?? -1)));
    if (newest < 0 || statSync(join(dir, `${newest}.log`)).size <= MAX_BYTES) return;
    const running = await this.runtime.listContainers({
      state: { state: ContainerState.CONTAINER_RUNNING },
      labelSelector: { [LABELS.podUID]: podUID, [LABELS.containerName]: container },
    });
    // The log of a container that ended grows no more.
    const id = running[0]?.id;
    if (id !== undefined) await this.rotate(dir, `${newest}.log`, id);
  }

  private async rotate(dir: string, log: string, containerId: string): Promise<void> {
    const isRotated = (file: string): boolean => file.startsWith(`${log}.`);
    // Left by a crash in the middle of compressing.
    for (const file of names(dir).filter((f) => isRotated(f) && f.endsWith('.tmp'))) await rm(join(dir, file));
    // One place for the file that is set aside now, one for the new one. The names sort by time.
    const rotated = names(dir).filter(isRotated).sort().reverse();
    for (const file of rotated.slice(MAX_FILES - 2)) await rm(join(dir, file));
    for (const file of rotated.slice(0, MAX_FILES - 2)) if (!file.endsWith('.gz')) await compress(join(dir, file));

    const time = formatTime(this.clock.now()).replace(/[-:Z]/g, '').replace('T', '-');
    const aside = join(dir, `${log}.${time}`);
    await rename(join(dir, log), aside);
    try {
      await this.runtime.reopenContainerLog(containerId);
    } catch (error) {
      // The runtime still writes to the file, whatever its name.
      await rename(aside, join(dir, log));
      throw error;
    }
  }
}

async function compress(file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  await pipeline(createReadStream(file), createGzip(), createWriteStream(temporary));
  await rename(temporary, `${file}.gz`);
  await rm(file);
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
