import { open } from 'node:fs/promises';
import type * as cri from '../../cri/generated/cri.ts';
import { ANNOTATIONS } from '../runtime-status.ts';

/** Upstream `pkg/kubelet/container/runtime.go`: MaxContainerTerminationMessageLength and the two of the log. */
const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

/** Reads what a container left behind as its last words; '' when there is nothing. Never throws. */
export type ReadTerminationMessage = (status: cri.ContainerStatus, exitCode: number) => Promise<string>;

/**
 * The container's termination message: the file at its terminationMessagePath (at most 4096 bytes), or, when that is empty, the
 * exit code is not 0 and the policy is FallbackToLogsOnError, the end of its log (80 lines, 2048 bytes).
 */
export const readTerminationMessage: ReadTerminationMessage = async (status, exitCode) => {
  const path = status.annotations[ANNOTATIONS.terminationMessagePath];
  const mount = path ? status.mounts.find((m) => m.containerPath === path) : undefined;
  const message = mount ? await readHead(mount.hostPath, MAX_MESSAGE_BYTES) : '';
  if (message !== '' || exitCode === 0) return message;
  const fallback = status.annotations[ANNOTATIONS.terminationMessagePolicy] === 'FallbackToLogsOnError';
  return fallback && status.logPath ? logTail(await readTail(status.logPath)) : '';
};

/** The text of the last lines of a log in CRI's format (`TIME STREAM TAG TEXT`), bounded. Pure. */
export function logTail(log: string): string {
  const lines = log.split('\n').filter((line) => line !== '');
  let text = '';
  for (const line of lines.slice(-MAX_LOG_LINES)) {
    const match = /^\S+ (?:stdout|stderr) (\S+) ?(.*)$/s.exec(line);
    if (match) text += match[1]!.startsWith('P') ? match[2] : `${match[2]}\n`;
  }
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_LOG_BYTES ? text : bytes.subarray(bytes.length - MAX_LOG_BYTES).toString();
}

async function readHead(path: string, maxBytes: number): Promise<string> {
  return (await read(path, () => 0, maxBytes)).toString();
}

/** Enough of the end for MAX_LOG_LINES lines of MAX_LOG_BYTES in all, their prefixes included. */
async function readTail(path: string): Promise<string> {
  const length = MAX_LOG_BYTES + MAX_LOG_LINES * 64;
  return (await read(path, (size) => Math.max(0, size - length), length)).toString();
}

async function read(path: string, from: (size: number) => number, maxBytes: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const buffer = Buffer.alloc(maxBytes);
    const { size } = await file.stat();
    const { bytesRead } = await file.read(buffer, 0, maxBytes, from(size));
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}
