import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { systemEnvironment } from './host-programs.ts';
import { findShims, NAMESPACE, sandboxOf, shimSocket, TASKS } from './shims.ts';
import { unmountBelow } from './unmount-below.ts';

const run = promisify(execFile);
/** A bundle is there a moment before its shim, and a moment after it: one found twice, so far apart, is lost. */
const LOOK_AGAIN_MS = 10_000;

/** As much of an OCI bundle's config.json as is needed. */
interface BundleConfig {
  readonly annotations?: { readonly 'io.kubernetes.cri.sandbox-id'?: string };
}

/**
 * The tasks of a private containerd whose shim was killed. containerd cleans up after such a shim, but not always: not when the shim
 * dies in the making of its sandbox, or while a container starts. Then processes run on that CRI calls exited, or has never heard of.
 */
export class ShimlessTasks {
  private readonly given: {
    readonly root: string;
    readonly state: string;
    readonly socket: string;
    readonly clock: Clock;
    readonly logger: Logger;
  };
  private readonly closing = new AbortController();
  private sweeping: Promise<void> | undefined;
  private isSweepWanted = false;

  /**
   * @param given.root containerd's root directory
   * @param given.state its state directory, with runc's in it
   * @param given.socket where it listens, by which its shims are known
   */
  constructor(given: ShimlessTasks['given']) {
    this.given = given;
  }

  /**
   * Ends what is left of a sandbox after it was stopped: processes, mounts, files. Nothing, when its shim lives.
   * @param ids of the sandbox and of its containers
   * @throws Error when something does not go
   */
  async end(sandboxId: string, ids: readonly string[]): Promise<void> {
    const left = ids.filter((id) => existsSync(this.bundle(id)));
    if (left.length === 0 || this.sandboxesWithShim().has(sandboxId)) return;
    for (const id of left) await this.endTask(id);
  }

  /** After a sandbox was removed: what its shim, if it was killed, has left in a place that nobody else looks after. */
  async forget(sandboxId: string): Promise<void> {
    await rm(shimSocket(this.given.socket, sandboxId), { force: true });
  }

  /**
   * Something went wrong in a start, so that there may be a task of which no sandbox will ever tell: ends all without a shim, some
   * seconds from now.
   */
  sweepSoon(): void {
    this.isSweepWanted = true;
    this.sweeping ??= this.sweepWhileWanted();
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.sweeping;
  }

  private async sweepWhileWanted(): Promise<void> {
    while (this.isSweepWanted) {
      this.isSweepWanted = false;
      try {
        await this.sweep();
      } catch (error) {
        if (isAbort(error)) break;
        this.given.logger.warn({ error: messageOf(error) }, 'tasks without a shim not ended');
      }
    }
    this.sweeping = undefined;
  }

  private async sweep(): Promise<void> {
    const { clock } = this.given;
    const { signal } = this.closing;
    await clock.sleep(LOOK_AGAIN_MS, signal);
    const before = this.lost();
    if (before.length === 0) return;
    await clock.sleep(LOOK_AGAIN_MS, signal);
    const lost = this.lost();
    for (const id of before) {
      if (!lost.includes(id)) continue;
      if (isHalfRemoved(id)) await this.removeBundle(id);
      else await this.endTask(id);
      await this.forget(id);
    }
  }

  private lost(): string[] {
    const bundles = join(this.given.state, TASKS);
    const ids = existsSync(bundles) ? readdirSync(bundles) : [];
    const alive = this.sandboxesWithShim();
    return ids.filter((id) => {
      if (isHalfRemoved(id)) return true;
      const sandboxId = this.sandboxIdOf(id);
      return sandboxId !== undefined && !alive.has(sandboxId);
    });
  }

  private bundle(id: string): string {
    return join(this.given.state, TASKS, id);
  }

  private sandboxesWithShim(): ReadonlySet<string | undefined> {
    return new Set(findShims(this.given.socket).map(sandboxOf));
  }

  /** Undefined for a bundle that is just being made or removed. */
  private sandboxIdOf(id: string): string | undefined {
    try {
      const config = JSON.parse(readFileSync(join(this.bundle(id), 'config.json'), 'utf8')) as BundleConfig;
      return config.annotations?.['io.kubernetes.cri.sandbox-id'];
    } catch {
      return undefined;
    }
  }

  private async endTask(id: string): Promise<void> {
    const { state, logger } = this.given;
    logger.warn({ id }, 'the shim of a task is gone, and containerd has not cleaned up after it; ending it');
    // Kills its first process, with which all others of it go, and removes its cgroups; content when there is nothing.
    await run('runc', ['--root', join(state, 'runc', NAMESPACE), 'delete', '--force', id], {
      env: systemEnvironment(),
    });
    await this.removeBundle(id);
  }

  private async removeBundle(id: string): Promise<void> {
    const bundle = this.bundle(id);
    await unmountBelow([bundle]);
    await Promise.all(
      [bundle, join(this.given.root, TASKS, id)].map((dir) => rm(dir, { recursive: true, force: true })),
    );
  }
}

/** containerd puts a dot before the name of a bundle that it is about to remove, and forgets it when it is killed then. */
function isHalfRemoved(bundle: string): boolean {
  return bundle.startsWith('.');
}
