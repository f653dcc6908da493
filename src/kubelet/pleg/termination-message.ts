import type * as cri from '../../cri/generated/cri.ts';
import { readTerminationMessage } from '../container/read-termination-message.ts';
import { ANNOTATIONS } from '../runtime-status.ts';

/** Reads what an exited container left behind as its last words; '' when there is nothing. Never throws. */
export type ReadTerminationMessage = (status: cri.ContainerStatus, exitCode: number) => Promise<string>;

/** By what CRI says of the container: the mount at its terminationMessagePath, its policy, its log. */
export const terminationMessageOf: ReadTerminationMessage = async (status, exitCode) => {
  const path = status.annotations[ANNOTATIONS.terminationMessagePath];
  const mount = path ? status.mounts.find((m) => m.containerPath === path) : undefined;
  if (!mount) return '';
  return readTerminationMessage({
    messageFile: mount.hostPath,
    policy: status.annotations[ANNOTATIONS.terminationMessagePolicy] ?? 'File',
    exitCode,
    logFile: status.logPath,
  });
};
