import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { CriError } from './cri-error.ts';
import {
  ContainerDelete,
  Envelope,
  PublishRequest,
  PublishResponse,
  SubscribeRequest,
  TaskExit,
  TaskOOM,
  TaskStart,
  type Timestamp,
} from './generated/containerd-events.ts';
import { ContainerEventResponse, ContainerEventType, ContainerState, GetEventsRequest } from './generated/cri.ts';
import type { Rpc } from './grpc/codec.ts';
import type { GrpcClient } from './grpc/grpc-client.ts';
import type { RuntimeEvent, RuntimeService } from './runtime-service.ts';

interface Context {
  readonly grpc: GrpcClient;
  readonly runtime: RuntimeService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with the id of every sandbox and container that containerd has forgotten, be it after a start that failed. */
  readonly onForgotten?: ((id: string) => void) | undefined;
}

/** How long to wait before asking a runtime that went away again; doubles up to the maximum, back to the minimum once it answers. */
const RECONNECT_MIN_MS = 20;
const RECONNECT_MAX_MS = 1000;

/**
 * A runtime's events from the best source it has: containerd's own event service, CRI's event stream, or a poll. Ends when the
 * signal aborts, and never throws.
 */
export async function* runtimeEvents(context: Context, signal: AbortSignal): AsyncGenerator<RuntimeEvent, void, void> {
  const { clock, logger } = context;
  let delayMs = RECONNECT_MIN_MS;
  let away = false;
  while (!signal.aborted) {
    // So that the subscription ends as well when the reader just leaves its loop.
    const left = new AbortController();
    try {
      for await (const event of bestSource(context, AbortSignal.any([signal, left.signal]))) {
        if (away) logger.info({}, 'the container runtime is back');
        away = false;
        delayMs = RECONNECT_MIN_MS;
        yield event;
        if (signal.aborted) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!away) logger.warn({ error: messageOf(error) }, 'no events from the container runtime; trying again');
      away = true;
    } finally {
      left.abort();
    }
    await clock.sleep(delayMs, signal).catch(() => {});
    delayMs = Math.min(delayMs * 2, RECONNECT_MAX_MS);
  }
}

async function* bestSource(context: Context, signal: AbortSignal): AsyncGenerator<RuntimeEvent, void, void> {
  const { runtimeName } = await context.runtime.version({ signal });
  // One after the other until one is implemented; asked anew at each connection, since a runtime may have been upgraded.
  const sources = [...(runtimeName === 'containerd' ? [containerdEvents] : []), criEvents];
  for (const source of sources) {
    try {
      yield* source(context, signal);
      return;
    } catch (error) {
      if (!(error instanceof CriError && error.code === 'UNIMPLEMENTED')) throw error;
    }
  }
  yield* polledEvents(context, signal);
}

// --- containerd

/** All that CRI makes lives in this namespace of containerd. */
export const CONTAINERD_NAMESPACE = { 'containerd-namespace': 'k8s.io' };

const SUBSCRIBE: Rpc<SubscribeRequest, Envelope> = {
  path: '/containerd.services.events.v1.Events/Subscribe',
  request: SubscribeRequest,
  response: Envelope,
};
const PUBLISH: Rpc<PublishRequest, PublishResponse> = {
  path: '/containerd.services.events.v1.Events/Publish',
  request: PublishRequest,
  response: PublishResponse,
};
const SUBSCRIBED_TOPIC = '/kubelette/subscribed';
const FORGOTTEN_TOPIC = '/containers/delete';
const TOPICS = ['/tasks/start', '/tasks/exit', '/tasks/oom', SUBSCRIBED_TOPIC];
/** How often to ask whether the subscription stands. */
const HANDSHAKE_MS = 10;

/**
 * containerd's task events. A subscription is not acknowledged, so an event of our own is published until something arrives: only
 * then does `resync` promise that nothing is missed from here on.
 */
async function* containerdEvents(
  { grpc, clock, onForgotten }: Context,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, void, void> {
  const stands = new AbortController();
  const metadata = CONTAINERD_NAMESPACE;
  const event = { typeUrl: 'kubelette/subscribed', value: new Uint8Array() };
  const publishFailed = async (): Promise<void> => {
    const until = AbortSignal.any([signal, stands.signal]);
    try {
      for (;;) {
        await grpc.unary(PUBLISH, { topic: SUBSCRIBED_TOPIC, event }, { metadata, signal: until });
        await clock.sleep(HANDSHAKE_MS, until);
      }
    } catch {
      // Not worth failing for: at worst a container that exits in this very moment is noticed by the next relist.
    }
  };
  try {
    const topics = onForgotten ? [...TOPICS, FORGOTTEN_TOPIC] : TOPICS;
    const filters = topics.map((topic) => `topic=="${topic}",namespace==k8s.io`);
    const stream = grpc.serverStream(SUBSCRIBE, { filters }, { metadata, signal });
    for await (const envelope of announced(stream, publishFailed())) {
      stands.abort();
      if (envelope?.topic === FORGOTTEN_TOPIC && envelope.event)
        onForgotten?.(ContainerDelete.decode(envelope.event.value).id);
      const translated = envelope ? translateTaskEvent(envelope) : ({ type: 'resync' } as const);
      if (translated) yield translated;
    }
  } finally {
    stands.abort();
  }
}

/** Items of a subscription, with `undefined` first, once it stands: when the first item comes or `ready` resolves. */
async function* announced<T>(
  stream: AsyncGenerator<T, void, void>,
  ready: Promise<unknown>,
): AsyncGenerator<T | undefined, void, void> {
  const first = stream.next();
  first.catch(() => {});
  await Promise.race([first, ready]);
  yield undefined;
  for (let result = await first; !result.done; result = await stream.next()) yield result.value;
}

/** The event in our terms, or undefined when it concerns nobody (the exit of an exec'ed process). Pure. */
export function translateTaskEvent({ topic, event }: Envelope): RuntimeEvent | undefined {
  const bytes = event?.value ?? new Uint8Array();
  switch (topic) {
    case '/tasks/start':
      return { type: 'containerStarted', containerId: TaskStart.decode(bytes).containerId };
    case '/tasks/exit': {
      const exit = TaskExit.decode(bytes);
      if (exit.id !== exit.containerId) return undefined;
      return {
        type: 'containerExited',
        containerId: exit.containerId,
        exitCode: exit.exitStatus,
        exitedAt: nanoseconds(exit.exitedAt),
      };
    }
    case '/tasks/oom':
      return { type: 'containerOOM', containerId: TaskOOM.decode(bytes).containerId };
    default:
      return undefined;
  }
}

function nanoseconds(time: Timestamp | undefined): bigint {
  return time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : 0n;
}

// --- CRI's own events

const GET_CONTAINER_EVENTS: Rpc<GetEventsRequest, ContainerEventResponse> = {
  path: '/runtime.v1.RuntimeService/GetContainerEvents',
  request: GetEventsRequest,
  response: ContainerEventResponse,
};

async function* criEvents({ grpc, runtime }: Context, signal: AbortSignal): AsyncGenerator<RuntimeEvent, void, void> {
  // This stream is not acknowledged either; a call answered behind it on the same connection is the best sign there is.
  const stream = grpc.serverStream(GET_CONTAINER_EVENTS, {}, { signal });
  for await (const response of announced(stream, runtime.version({ signal }))) {
    const event = response ? await translateCriEvent(runtime, response, signal) : ({ type: 'resync' } as const);
    if (event) yield event;
  }
}

async function translateCriEvent(
  runtime: RuntimeService,
  { containerId, containerEventType, containersStatuses }: ContainerEventResponse,
  signal: AbortSignal,
): Promise<RuntimeEvent | undefined> {
  if (containerEventType === ContainerEventType.CONTAINER_STARTED_EVENT)
    return { type: 'containerStarted', containerId };
  if (containerEventType !== ContainerEventType.CONTAINER_STOPPED_EVENT) return undefined;
  const reported = containersStatuses.find((s) => s.id === containerId && s.state === ContainerState.CONTAINER_EXITED);
  return reported ? exited(reported) : exitOf(runtime, containerId, signal);
}

// --- polling

const POLL_MIN_MS = 50;
const POLL_MAX_MS = 1000;

/** Compares lists of containers: often after something changed, ever less often while nothing does. */
async function* polledEvents(
  { runtime, clock }: Context,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, void, void> {
  let known: Map<string, ContainerState> | undefined;
  let delayMs = POLL_MIN_MS;
  for (;;) {
    const containers = await runtime.listContainers(undefined, { signal });
    const now = new Map(containers.map((c) => [c.id, c.state]));
    if (known === undefined) yield { type: 'resync' };
    let changed = known?.size !== now.size;
    for (const [id, state] of known === undefined ? [] : now) {
      const before = known!.get(id) ?? ContainerState.CONTAINER_CREATED;
      if (state === before) continue;
      changed = true;
      if (before === ContainerState.CONTAINER_CREATED) yield { type: 'containerStarted', containerId: id };
      if (state === ContainerState.CONTAINER_EXITED) {
        const exit = await exitOf(runtime, id, signal);
        if (exit) yield exit;
      }
    }
    known = now;
    delayMs = changed ? POLL_MIN_MS : Math.min(delayMs * 2, POLL_MAX_MS);
    await clock.sleep(delayMs, signal);
  }
}

/** The exit of a container that the runtime says has stopped; undefined when it is gone, or runs after all. */
async function exitOf(runtime: RuntimeService, id: string, signal: AbortSignal): Promise<RuntimeEvent | undefined> {
  try {
    const status = await runtime.containerStatus(id, { signal });
    return status.state === ContainerState.CONTAINER_EXITED ? exited(status) : undefined;
  } catch (error) {
    if (error instanceof CriError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

function exited(status: { id: string; exitCode: number; finishedAt: bigint }): RuntimeEvent {
  return { type: 'containerExited', containerId: status.id, exitCode: status.exitCode, exitedAt: status.finishedAt };
}
