import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import { isAlive, type ProcessIdentity, sendSignal } from '../lib/process-identity.ts';
import { removeCniState } from './cni-config.ts';
import { findContainerd } from './managed-containerd.ts';
import { mountTable } from './mount-table.ts';
import { findShims, shimSocket, TASKS } from './shims.ts';
import { unmountBelow } from './unmount-below.ts';

/** How long killed processes may take to go. */
const KILL_TIMEOUT_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/**
 * Removes everything that a managed containerd left on the host, whatever state it is in: kills containerd, its shims and all
 * processes in the instance's cgroups; unmounts what is mounted below the instance's directories; removes the network, the cgroups
 * and the files, but for the images with `keepImages`. Containers get no grace, so stop the pods before. Touches nothing of other
 * instances; idempotent. Throws UserError naming what would not go.
 */
export async function removeContainerdState(
  layout: InstanceLayout,
  clock: Clock,
  { keepImages }: { keepImages: boolean },
): Promise<void> {
  const { root, state, socket, config, log, pidFile } = layout.containerd;
  const containerd = findContainerd(layout);
  if (containerd) await killAll([containerd], clock);
  await killAll(findShims(socket), clock);
  await removeCgroups(layout.cgroupParent, clock);
  await unmountBelow([root, state, layout.podsDir]);
  await removeCniState(layout);
  await removeShimSockets(layout.containerd);
  const volatile = [state, socket, `${socket}.ttrpc`, pidFile, join(layout.runDir, 'registries')];
  const durable = [root, config, log, `${log}.old`];
  await Promise.all(
    [...volatile, ...(keepImages ? [] : durable)].map((path) => rm(path, { recursive: true, force: true })),
  );
}

async function killAll(targets: readonly ProcessIdentity[], clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + KILL_TIMEOUT_MS;
  for (const { pid } of targets.filter(isAlive)) sendSignal(pid, 'SIGKILL');
  for (let left = targets.filter(isAlive); left.length > 0; left = targets.filter(isAlive)) {
    if (clock.monotonic() > deadline) throw new UserError(`processes do not end: ${left.map((p) => p.pid).join(', ')}`);
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

/** Kills what runs in `cgroupParent` and below, in every hierarchy, and removes the cgroups. */
async function removeCgroups(cgroupParent: string, clock: Clock): Promise<void> {
  const hierarchies = mountTable()
    .filter(({ type }) => type === 'cgroup' || type === 'cgroup2')
    .map(({ path }) => join(path, cgroupParent))
    .filter((path) => existsSync(path));
  const deadline = clock.monotonic() + KILL_TIMEOUT_MS;
  for (const top of hierarchies) {
    // Leaves first. A cgroup whose last process has just ended may stay busy for a moment.
    for (const cgroup of [...below(top), top]) {
      for (;;) {
        const pids = readLines(join(cgroup, 'cgroup.procs')).map(Number);
        for (const pid of pids) sendSignal(pid, 'SIGKILL');
        if (pids.length === 0 && removed(cgroup)) break;
        if (clock.monotonic() > deadline) throw new UserError(`cgroup ${cgroup} cannot be removed: it is still in use`);
        await clock.sleep(LOOK_AGAIN_MS);
      }
    }
    // The parent of all instances goes with the last of them.
    removed(join(top, '..'));
  }
}

/** Whether the cgroup is gone now. */
function removed(cgroup: string): boolean {
  try {
    rmdirSync(cgroup);
    return true;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}

/** All directories below, leaves first. */
function below(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(dir, entry.name))
    .flatMap((path) => [...below(path), path]);
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return [];
    throw error;
  }
}

/** Those of shims that were killed. */
async function removeShimSockets({ state, socket }: InstanceLayout['containerd']): Promise<void> {
  const bundles = join(state, TASKS);
  for (const id of await readdir(bundles).catch(() => [])) await rm(shimSocket(socket, id), { force: true });
}
