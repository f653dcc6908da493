import { rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { connectRuntime } from '../cri/cri-client.ts';
import type { PodSandbox } from '../cri/generated/cri.ts';
import { endLingering } from '../cri/grpc/linger.ts';
import { findContainerd } from '../cri/managed-containerd.ts';
import { removeContainerdState } from '../cri/remove-containerd-state.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import { ShimlessTasks } from '../cri/shimless-tasks.ts';
import { removePodNetwork } from '../kubelet/network/pod-network.ts';
import { OWNER_LABEL } from '../kubelet/pleg/pleg.ts';
import { ANNOTATIONS } from '../kubelet/runtime-status.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import { silentLogger } from '../lib/logger.ts';
import { isAlive, sendSignal } from '../lib/process-identity.ts';
import { type AgentFile, readAgentFile, removeAgentFile, runningAgent } from './agent-file.ts';
import { type InstanceLock, tryLockInstance } from './instance-lock.ts';
import { isOwnRootDir, removeRootDir } from './prepare-root-dir.ts';

export interface StopOptions {
  /** Deletes the root directory too: objects, images, logs. */
  readonly purge: boolean;
  readonly clock: Clock;
  readonly onProgress: (text: string) => void;
}

/** How long an agent may take to end after SIGTERM before it is killed; its state survives that. */
const AGENT_STOP_TIMEOUT_MS = 10_000;
/** Between looks at something that gives no event: the end of a process that is not our child. */
const LOOK_AGAIN_MS = 10;
/** The longest grace a container gets when the whole node stops. */
const MAX_GRACE_SECONDS = 10;

/**
 * Ends the instance, in whatever state it is: its agent, pods, containerd, network, cgroups and mounts. Idempotent; works after a
 * crash of any of them. Resolves with whether there was anything to end.
 * @throws UserError for whoever is not root, unless it is sure that there is nothing
 */
export async function stopInstance(layout: InstanceLayout, options: StopOptions): Promise<boolean> {
  const { purge, clock, onProgress } = options;
  if (!isAnythingThere(layout, purge)) return false;
  if (process.geteuid?.() !== 0) throw rootNeeded(layout);
  const { runtimeEndpoint } = readAgentFile(layout) ?? {};
  const lock = await takeOver(layout, clock, onProgress);
  try {
    if (runtimeEndpoint !== undefined || findContainerd(layout)) {
      await stopPods(layout, runtimeEndpoint ?? layout.containerd.socket, options);
    }
    await removeHostState(layout, clock, { keepImages: !purge });
    if (purge) removeRootDir(layout);
  } finally {
    lock.release();
  }
  return true;
}

function isAnythingThere(layout: InstanceLayout, purge: boolean): boolean {
  try {
    // Not existsSync: it says no where it may not look.
    return statSync(layout.runDir, { throwIfNoEntry: false }) !== undefined || (purge && isOwnRootDir(layout));
  } catch (error) {
    throw errnoOf(error) === 'EACCES' ? rootNeeded(layout) : error;
  }
}

function rootNeeded(layout: InstanceLayout): UserError {
  return new UserError(`permission denied: only root can see and stop what runs on ${layout.rootDir}`, {
    hint: 'Run the same command with sudo.',
  });
}

/**
 * Removes all that an instance has outside its root directory: containerd and whatever of a pod did not go by itself, the network, the
 * run directory. For the holder of the instance's lock.
 */
export async function removeHostState(
  layout: InstanceLayout,
  clock: Clock,
  options: { readonly keepImages: boolean },
): Promise<void> {
  endLingering(layout.containerd.socket);
  await removeContainerdState(layout, clock, options);
  await removePodNetwork(layout);
  removeAgentFile(layout);
  rmSync(layout.runDir, { recursive: true, force: true });
  removeIfEmpty(dirname(layout.runDir));
}

/** Ends the agent, if one runs, and takes its place. */
async function takeOver(
  layout: InstanceLayout,
  clock: Clock,
  onProgress: (text: string) => void,
): Promise<InstanceLock> {
  const deadline = clock.monotonic() + AGENT_STOP_TIMEOUT_MS;
  let lock: InstanceLock | undefined;
  let asked: AgentFile | undefined;
  for (;;) {
    lock ??= tryLockInstance(layout);
    // An agent gives its lock back a moment before its process ends.
    if (lock && !(asked && isAlive(asked))) return lock;
    const agent = asked ?? runningAgent(layout);
    if (agent && !asked) {
      onProgress('stopping the agent');
      sendSignal(agent.pid, 'SIGTERM');
      asked = agent;
    }
    if (clock.monotonic() > deadline) {
      if (!agent)
        throw new UserError(`another process is starting or stopping ${layout.rootDir}`, { hint: 'Try again.' });
      sendSignal(agent.pid, 'SIGKILL');
    }
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

/** Stops and removes every pod sandbox of this instance, each container with its grace, all at once. */
async function stopPods(layout: InstanceLayout, endpoint: string, { clock, onProgress }: StopOptions): Promise<void> {
  const tasks = new ShimlessTasks({ ...layout.containerd, clock, logger: silentLogger });
  const { runtime, close } = connectRuntime({ endpoint, clock, logger: silentLogger, tasks });
  try {
    const sandboxes = await runtime.listPodSandbox({ labelSelector: { [OWNER_LABEL]: layout.id } });
    if (sandboxes.length > 0) onProgress(`stopping ${sandboxes.length} pod${sandboxes.length === 1 ? '' : 's'}`);
    await Promise.all(sandboxes.map((sandbox) => stopSandbox(runtime, sandbox)));
  } catch (error) {
    onProgress(`the runtime does not stop its pods (${messageOf(error)}); killing them`);
  } finally {
    close();
  }
}

async function stopSandbox(runtime: RuntimeService, sandbox: PodSandbox): Promise<void> {
  const containers = await runtime.listContainers({ podSandboxId: sandbox.id });
  await Promise.all(
    containers.map(({ id, annotations }) => {
      const grace = Number(annotations[ANNOTATIONS.podTerminationGracePeriod] ?? MAX_GRACE_SECONDS);
      return runtime.stopContainer(id, Math.min(grace, MAX_GRACE_SECONDS));
    }),
  );
  await runtime.stopPodSandbox(sandbox.id);
  await runtime.removePodSandbox(sandbox.id);
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Another instance lives there.
  }
}
