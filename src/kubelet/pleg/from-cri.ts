import type * as cri from '../../cri/generated/cri.ts';
import { ContainerState, NamespaceMode, PodSandboxState } from '../../cri/generated/cri.ts';
import {
  ANNOTATIONS,
  type ContainerRuntimeState,
  type ContainerRuntimeStatus,
  type SandboxRuntimeStatus,
} from '../runtime-status.ts';

const STATES: Record<number, ContainerRuntimeState> = {
  [ContainerState.CONTAINER_CREATED]: 'created',
  [ContainerState.CONTAINER_RUNNING]: 'running',
  [ContainerState.CONTAINER_EXITED]: 'exited',
};

export function containerState(state: ContainerState): ContainerRuntimeState {
  return STATES[state] ?? 'unknown';
}

/**
 * Whether this instance never ran because whoever had asked for its start went away meanwhile: containerd gives up a start when the
 * connection of its caller breaks, as it does when an agent is killed with all its children. It is no failure of the container's, and no restart.
 */
export function isAbandonedStart({ state, startedAt, reason, message }: cri.ContainerStatus): boolean {
  const neverRan = state === ContainerState.CONTAINER_EXITED && startedAt === 0n && reason === 'StartError';
  // The latter: containerd kills the shim that it was just starting for the call.
  return neverRan && /context canceled|failed to start shim: start failed: : signal: killed/.test(message);
}

/** CRI's answer in the kubelet's terms. @param sandboxId CRI does not repeat it in a container's status */
export function containerFromCri(status: cri.ContainerStatus, sandboxId: string): ContainerRuntimeStatus {
  const { annotations } = status;
  const restartCount = Number.parseInt(annotations[ANNOTATIONS.restartCount] ?? '', 10);
  return {
    id: status.id,
    name: status.metadata?.name ?? '',
    sandboxId,
    state: containerState(status.state),
    restartCount: Number.isNaN(restartCount) ? (status.metadata?.attempt ?? 0) : restartCount,
    hash: annotations[ANNOTATIONS.hash] ?? '',
    createdAt: msFromNs(status.createdAt),
    startedAt: msFromNs(status.startedAt),
    finishedAt: msFromNs(status.finishedAt),
    exitCode: status.exitCode,
    reason: status.reason,
    message: status.message,
    image: status.image?.image ?? '',
    imageRef: status.imageRef,
    logPath: status.logPath,
  };
}

/** Of a sandbox as it is listed, or as it tells of itself. */
export function isSandboxReady({ state }: Pick<cri.PodSandbox, 'state'>): boolean {
  return state === PodSandboxState.SANDBOX_READY;
}

export function sandboxFromCri(status: cri.PodSandboxStatus): SandboxRuntimeStatus {
  const { network } = status;
  const ips = network?.ip ? [network.ip, ...network.additionalIps.map((a) => a.ip)] : [];
  return {
    id: status.id,
    attempt: status.metadata?.attempt ?? 0,
    ready: isSandboxReady(status),
    createdAt: msFromNs(status.createdAt),
    ips,
    hostNetwork: status.linux?.namespaces?.options?.network === NamespaceMode.NODE,
  };
}

/** Wall time in ms, with fractions, from CRI's ns; 0 stays 0. */
export function msFromNs(ns: bigint): number {
  return Number(ns / 1000n) / 1000;
}
