/**
 * Stand-ins for the outside world, for machines that have no way to it: images made from Debian packages and served by a real
 * registry on loopback, and a resolver with a page for info.cern.ch. kubelette knows nothing of them: it is given a
 * `--registry-mirror` and a `--resolv-conf`.
 *
 *   node test/stand-ins/stand-ins.ts build           make the images, if they are not there yet
 *   node test/stand-ins/stand-ins.ts serve           run in the foreground; prints the settings as one line of JSON when ready
 *   node test/stand-ins/stand-ins.ts up [--json]     the same in the background; several may run at once
 *                                    --wordpress     of these three: with the images of examples/wordpress as well
 *   node test/stand-ins/stand-ins.ts down [PID]      end what `up` started in this checkout (all, or one)
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildImageSet, type ImageSetName } from './images/build-image-set.ts';
import { startRegistry } from './registry-process.ts';
import type { StandInSettings } from './start-stand-ins.ts';
import { startWorld } from './world.ts';

/** One file per background process of this checkout, named after its pid. */
const pidDir = join(dirname(fileURLToPath(import.meta.url)), '../../.cache/stand-ins/running');

const build = (set: ImageSetName): ReturnType<typeof buildImageSet> =>
  buildImageSet((text) => console.error(`stand-ins: ${text}`), set);

async function serve(set: ImageSetName, whileStdinOpen: boolean): Promise<void> {
  const ending = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
    // Our parent holds the other end: it closes when the parent ends, in whatever way.
    if (whileStdinOpen) process.stdin.on('close', () => resolve()).resume();
  });
  const cleanups: (() => unknown)[] = [];
  try {
    const images = await build(set);
    const work = mkdtempSync(join(tmpdir(), 'stand-ins-'));
    cleanups.push(() => rmSync(work, { recursive: true, force: true }));
    const registry = await startRegistry(images.registryProgram, images.storage, work, true);
    cleanups.push(() => registry.stop());
    const world = await startWorld();
    cleanups.push(() => world.close());
    const resolvConf = join(work, 'resolv.conf');
    writeFileSync(resolvConf, `nameserver ${world.address}\n`);
    const settings: StandInSettings = { registryMirror: registry.url, resolvConf, pid: process.pid };
    console.log(JSON.stringify(settings));
    await ending;
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

async function up(set: ImageSetName, json: boolean): Promise<void> {
  await build(set);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', `--${set}`], {
    stdio: ['ignore', 'pipe', 'pipe'], // not ours: whoever waits for our output must not wait for the child's
    detached: true,
  });
  child.stderr.pipe(process.stderr);
  const ready = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([line]) => line as string),
    once(child, 'close').then(() => undefined),
  ]);
  if (ready === undefined) process.exit(1);
  const settings = JSON.parse(ready) as StandInSettings;
  await mkdir(pidDir, { recursive: true });
  writeFileSync(join(pidDir, String(settings.pid)), ready);
  console.log(
    json
      ? ready
      : `--registry-mirror ${settings.registryMirror} --resolv-conf ${settings.resolvConf}   (pid ${settings.pid})`,
  );
  process.exit(0); // without waiting for the child's output
}

async function down(only: string | undefined): Promise<void> {
  for (const pid of existsSync(pidDir) ? readdirSync(pidDir) : []) {
    if (only !== undefined && pid !== only) continue;
    if (isServe(pid)) {
      process.kill(Number(pid), 'SIGTERM');
      while (isServe(pid)) await delay(20);
    }
    rmSync(join(pidDir, pid), { force: true });
  }
}

/** Whether this process is one of ours: its number may have been given to another since. */
function isServe(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('stand-ins.ts\0serve');
  } catch {
    return false;
  }
}

const [command, ...words] = process.argv.slice(2);
const set: ImageSetName = words.includes('--wordpress') ? 'wordpress' : 'base';
try {
  if (command === 'build') await build(set);
  else if (command === 'serve') await serve(set, words.includes('--while-stdin-open'));
  else if (command === 'up') await up(set, words.includes('--json'));
  else if (command === 'down') await down(words[0]);
  else throw new Error('what? build, serve, up [--json] or down [PID]; the first three with --wordpress or without');
} catch (error) {
  console.error(`stand-ins: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
