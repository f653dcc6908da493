import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pod } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import { ContainerState } from '../../cri/generated/cri.ts';
import { errnoOf } from '../../lib/errors.ts';
import { findLog } from './find-log.ts';
import { HttpError } from './http-error.ts';
import { parseLogOptions } from './log-options.ts';
import { readLog } from './read-log.ts';
import type { ServerContext } from './server-context.ts';

/** Answers with the log of a container, as plain text. */
export async function serveLogs(
  context: ServerContext,
  pod: Pod,
  container: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const options = parseLogOptions(query, context.clock.now());
  if ('error' in options) throw new HttpError(422, options.error);
  const { path, containerId, shownId } = findLog(context.lookup, pod, container, options.previous);
  const podUID = pod.metadata.uid!;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const ended = async (): Promise<boolean> => {
    // The cheap look first. That the container has exited is known before its last output is written, so the runtime, which
    // says so only afterwards, has the last word.
    if (containerId === undefined) return true;
    const instance = context.lookup.container(podUID, container, options.previous);
    if (instance?.id === containerId && instance.state === 'running') return false;
    return await hasExited(context, containerId);
  };
  const file = await open(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new HttpError(400, `unable to retrieve container logs for ${shownId}`);
  });
  const log = readLog(file, path, options, ended, context.clock, gone.signal);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  // A follower learns at once that it is connected, also when nothing was logged yet.
  response.flushHeaders();
  try {
    await pipeline(Readable.from(log, { objectMode: false }), response);
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

async function hasExited(context: ServerContext, containerId: string): Promise<boolean> {
  try {
    return (await context.runtime.containerStatus(containerId)).state === ContainerState.CONTAINER_EXITED;
  } catch (error) {
    // Gone is over, too; a runtime that is away is asked again.
    return error instanceof CriError && error.code === 'NOT_FOUND';
  }
}
