import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
   * Ends what is left of a sandbox after it was stopped: processes, mounts, files. Nothing, when its shim was not killed.
   * @throws Error when something does not go
   */
  async end(sandboxId: string): Promise<void> {
    // A shim that ends by itself takes its socket along.
    if (!existsSync(shimSocket(this.given.socket, sandboxId)) || this.sandboxesWithShim().has(sandboxId)) return;
    for (const id of this.bundles()) if (this.sandboxIdOf(id) === sandboxId) await this.endTask(id);
  }

  /**
   * After containerd has forgotten a sandbox, one that it could not make among them: what its shim, if it was killed, has left in a
   * place that nobody else looks after. Nothing for a container.
   */
  forget(sandboxId: string): void {
    rmSync(shimSocket(this.given.socket, sandboxId), { force: true });
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
    const { clock, logger } = this.given;
    const { signal } = this.closing;
    try {
      while (this.isSweepWanted) {
        this.isSweepWanted = false;
        await clock.sleep(LOOK_AGAIN_MS, signal);
        const before = this.lost();
        if (before.length === 0) continue;
        await clock.sleep(LOOK_AGAIN_MS, signal);
        const lost = this.lost();
        for (const id of before.filter((found) => lost.includes(found))) await this.endLost(id);
      }
    } catch (error) {
      if (!isAbort(error)) logger.error({ error: messageOf(error) }, 'tasks without a shim not looked for');
    }
    this.sweeping = undefined;
  }

  private async endLost(id: string): Promise<void> {
    try {
      if (isHalfRemoved(id)) await this.removeBundle(id);
      else await this.endTask(id);
      this.forget(id);
    } catch (error) {
      this.given.logger.warn({ id, error: messageOf(error) }, 'a task without a shim has not ended, trying again');
      this.isSweepWanted = true;
    }
  }

  /** Bundles whose shim is gone, and such as are just being made or removed. */
  private lost(): string[] {
    const alive = this.sandboxesWithShim();
    return this.bundles().filter((id) => isHalfRemoved(id) || !alive.has(this.sandboxIdOf(id)));
  }

  private bundles(): string[] {
    const bundles = join(this.given.state, TASKS);
    return existsSync(bundles) ? readdirSync(bundles) : [];
  }

  private bundle(id: string): string {
    return join(this.given.state, TASKS, id);
  }

  private sandboxesWithShim(): ReadonlySet<string> {
    return new Set(findShims(this.given.socket).flatMap((shim) => sandboxOf(shim) ?? []));
  }

  /** Its own id for a bundle that does not tell (yet, or any more). */
  private sandboxIdOf(id: string): string {
    try {
      const config = JSON.parse(readFileSync(join(this.bundle(id), 'config.json'), 'utf8')) as BundleConfig;
      return config.annotations?.['io.kubernetes.cri.sandbox-id'] ?? id;
    } catch {
      return id;
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
