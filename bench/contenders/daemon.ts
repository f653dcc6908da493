import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '../measure.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;

/** A daemon of ours. Its output goes to a file. */
export class Daemon {
  private readonly child: ChildProcess;
  private readonly command: string;
  private readonly log: string;

  private constructor(child: ChildProcess, command: string, log: string) {
    this.child = child;
    this.command = command;
    this.log = log;
  }

  /** Resolves once `isUp` does; rejects with the end of its log when it does not come up. */
  static async start(
    command: string,
    args: readonly string[],
    log: string,
    isUp: () => Promise<boolean>,
  ): Promise<Daemon> {
    const output = openSync(log, 'a');
    const child = spawn(command, args, { stdio: ['ignore', output, output], cwd: '/' });
    const failed = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`it ended with ${signal ?? code}`);
    });
    failed.catch(() => {});
    const daemon = new Daemon(child, command, log);
    const up = async (): Promise<void> => {
      while (child.exitCode === null && !(await isUp().catch(() => false))) await delay(50);
    };
    try {
      await within(START_TIMEOUT_MS, 'its first answer', Promise.race([up(), failed]));
      if (child.exitCode !== null) await failed;
    } catch (error) {
      await daemon.stop();
      throw daemon.error((error as Error).message);
    }
    return daemon;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** SIGTERM, and SIGKILL when that takes too long. Idempotent. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(late);
  }

  private error(how: string): Error {
    const said = readFileSync(this.log, 'utf8').trim().split('\n').slice(-3).join(' | ');
    return new Error(`${this.command}: ${how}: ${said}`);
  }
}
