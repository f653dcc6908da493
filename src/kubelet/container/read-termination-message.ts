import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf, messageOf } from '../../lib/errors.ts';

const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_MESSAGE_BYTES = 2048;
const MAX_LOG_MESSAGE_LINES = 80;

/** Enough for 80 lines, each as long as the runtime makes them before it splits them (16 KiB). */
const LOG_TAIL_BYTES = MAX_LOG_MESSAGE_LINES * 17_000;

/**
 * What a container that ended has to say: the end of what it wrote to its terminationMessagePath (4096 bytes), or, with policy
 * FallbackToLogsOnError, when it wrote nothing and failed, the end of its log (80 lines, 2048 bytes). '' when there is nothing.
 * Rules: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, getTerminationMessage.
 * Synchronous: a few kilobytes of a local file, which a trip through the thread pool would only make later.
 * @param messageFile see `terminationMessageFile`
 * @param logFile the CRI log of this instance
 */
export function readTerminationMessage(input: {
  readonly messageFile: string;
  readonly policy: string;
  readonly exitCode: number;
  readonly logFile: string;
}): string {
  let message = '';
  try {
    message = readTail(input.messageFile, MAX_MESSAGE_BYTES).toString();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      return `Error on reading termination log ${input.messageFile}: ${messageOf(error)}`;
    }
  }
  if (message !== '' || input.policy !== 'FallbackToLogsOnError' || input.exitCode === 0) return message;
  try {
    return lastLines(readTail(input.logFile, LOG_TAIL_BYTES));
  } catch (error) {
    return `Error on reading termination message from logs: ${messageOf(error)}`;
  }
}

/** The text of the last lines of a CRI log: `TIME STREAM P|F TEXT`, where P is a piece of a line that goes on. */
function lastLines(log: Buffer): string {
  const lines = log.toString().split('\n');
  if (lines.at(-1) === '') lines.pop();
  const text = lines
    .slice(-MAX_LOG_MESSAGE_LINES)
    .map((line) => {
      const [, flag, content] = /^\S+ \S+ (\S+) ?(.*)$/s.exec(line) ?? [];
      return content === undefined ? '' : `${content}${flag === 'P' ? '' : '\n'}`;
    })
    .join('');
  return Buffer.from(text).subarray(-MAX_LOG_MESSAGE_BYTES).toString();
}

/** At most the last `bytes` bytes of a file. */
function readTail(path: string, bytes: number): Buffer {
  // Whatever lies there, nobody waits for it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, bytes);
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(file, buffer, 0, length, size - length));
  } finally {
    closeSync(file);
  }
}
