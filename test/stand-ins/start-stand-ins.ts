import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ImageSetName } from './images/build-image-set.ts';

/** What an agent needs to be told to live without the outside world. */
export interface StandInSettings {
  /** For `--registry-mirror`. */
  readonly registryMirror: string;
  /** For `--resolv-conf`. */
  readonly resolvConf: string;
  /** Of the process that keeps all of it running. */
  readonly pid: number;
}

export interface StandIns extends StandInSettings {
  stop(): Promise<void>;
}

/**
 * Starts registry, resolver and page for as long as this process lives: they also end when it is killed.
 * @param onProgress called when images have to be made first, which takes a minute or two
 */
export async function startStandIns(
  onProgress: (text: string) => void = () => {},
  set: ImageSetName = 'base',
): Promise<StandIns> {
  const command = join(dirname(fileURLToPath(import.meta.url)), 'stand-ins.ts');
  // A group of its own, so that Ctrl-C reaches us alone and we end it last.
  const child = spawn(process.execPath, [command, 'serve', `--${set}`, '--while-stdin-open'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let errors = '';
  createInterface(child.stderr).on('line', (line) => {
    errors += `${line}\n`;
    onProgress(line);
  });
  const exited = once(child, 'close');
  const settings = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([line]) => JSON.parse(line as string) as StandInSettings),
    exited.then(() => Promise.reject(new Error(`the stand-ins did not start: ${errors.trim()}`))),
  ]);
  return {
    ...settings,
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
