import { CriError } from './cri-error.ts';
import { DeleteResponse, DeleteTaskRequest, KillRequest, KillResponse } from './generated/containerd-tasks.ts';
import type { Rpc } from './grpc/codec.ts';
import type { GrpcClient } from './grpc/grpc-client.ts';
import { CONTAINERD_NAMESPACE } from './runtime-events.ts';
import type { CallOptions } from './runtime-service.ts';

const TASKS = '/containerd.services.tasks.v1.Tasks/';
const KILL: Rpc<KillRequest, KillResponse> = { path: `${TASKS}Kill`, request: KillRequest, response: KillResponse };
const DELETE: Rpc<DeleteTaskRequest, DeleteResponse> = {
  path: `${TASKS}Delete`,
  request: DeleteTaskRequest,
  response: DeleteResponse,
};
const SIGKILL = 9;

/**
 * Whether a container cannot be removed because of a task that CRI does not know: its creation was given up half-way, as happens when
 * whoever asked for it is killed (containerd 1.6: "failed to get task pid: context canceled"). CRI counts such a container as exited,
 * so that it does not stop it, and its removal fails for ever.
 */
export function isTaskLost(error: unknown): boolean {
  return error instanceof CriError && /cannot delete running task/.test(error.message);
}

/** So long containerd takes at most to be done with a container that has just ended. */
export const TASK_ENDS_MS = 50;

/**
 * Whether a sandbox was not stopped because one of its containers has ended by itself just now: containerd 1.6 still means to kill it,
 * when its shim no longer listens. Moments later there is nothing to kill.
 */
export function isTaskEnding(error: unknown): boolean {
  return error instanceof CriError && /ttrpc: closed/.test(error.message);
}

/** Ends and removes the task of a container. @throws CriError when it is not gone yet */
export async function deleteTask(grpc: GrpcClient, containerId: string, options: CallOptions): Promise<void> {
  const given = { ...options, metadata: CONTAINERD_NAMESPACE };
  // One that was never started, or has ended, may not be there to be killed.
  await grpc.unary(KILL, { containerId, execId: '', signal: SIGKILL, all: true }, given).catch(() => {});
  await grpc.unary(DELETE, { containerId }, given).catch((error: unknown) => {
    if (!(error instanceof CriError && error.code === 'NOT_FOUND')) throw error;
  });
}
