import { apiVersionOf } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { WatchSink } from '../registry/registry.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import type { ResourceRequests } from '../registry/resource-requests.ts';
import type { Version } from '../storage/mvcc.ts';
import type { Exchange } from './exchange.ts';
import type { Representation } from './negotiate.ts';
import { type IncludeObject, objectTable, objectText, partialMetadata } from './render.ts';
import { isTrue } from './request-info.ts';
import { integer, readOptions } from './request-options.ts';

/** A client that leaves this much unread is cut off; it lists again. Bytes. */
const MAX_UNREAD = 8 << 20;
const BOOKMARK_EVERY_MS = 60_000;
/** Without timeoutSeconds a watch ends after once to twice this time, as upstream's do. */
const DEFAULT_TIMEOUT_MS = 30 * 60_000;

/** What a bookmark's metadata are put into: a client knows one type only. */
function emptyObject({ resource }: ResourceDefinition, { as }: Representation): object {
  if (as === 'Table') return { kind: as, apiVersion: 'meta.k8s.io/v1', columnDefinitions: null, rows: [] };
  if (as) return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
  return { kind: resource.kind, apiVersion: apiVersionOf(resource) };
}

/** Streams a resource's changes to one client, one JSON line each. */
export function serveWatch(
  exchange: Exchange,
  definition: ResourceDefinition,
  namespace: string | undefined,
  representation: Representation,
  include: IncludeObject,
  deps: { readonly requests: ResourceRequests; readonly clock: Clock; readonly random: Random },
): void {
  const { query, response } = exchange;
  const { clock } = deps;
  const timeout = integer(query, 'timeoutSeconds');
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  let started = false;
  let headers = true;

  const line = (type: string, text: string): void => {
    if (!started) {
      started = true;
      exchange.startStream('application/json');
    }
    if (response.destroyed) return;
    response.write(`{"type":"${type}","object":${text}}\n`);
    // Whoever does not read must not make us keep everything for him.
    if (response.writableLength > MAX_UNREAD) response.destroy();
  };
  const render = (version: Version): string => {
    if (representation.as === undefined) return objectText(definition, version);
    if (representation.as !== 'Table') return JSON.stringify(partialMetadata(version));
    const table = objectTable(definition, version, include, clock.now(), headers);
    headers = false;
    return JSON.stringify(table);
  };
  const bookmark = (revision: number, annotations?: Record<string, string>): void => {
    const metadata = { resourceVersion: String(revision), ...(annotations ? { annotations } : {}) };
    line('BOOKMARK', JSON.stringify({ ...emptyObject(definition, representation), metadata }));
  };
  const sink: WatchSink = {
    event: ({ type, version }) => line(type, render(version)),
    initialEventsEnd: (revision) => {
      if (bookmarks) bookmark(revision, { 'k8s.io/initial-events-end': 'true' });
    },
  };

  let stop: () => void;
  try {
    stop = deps.requests.watch(definition, readOptions(query, namespace), sink);
  } catch (error) {
    // That the history is gone is said inside the stream.
    if (!(error instanceof ApiStatusError) || error.code !== 410) throw error;
    line('ERROR', JSON.stringify(error.toStatus()));
    response.end();
    return;
  }
  if (!started) {
    started = true;
    exchange.startStream('application/json');
  }
  const limit = timeout === undefined ? DEFAULT_TIMEOUT_MS * (1 + deps.random.float()) : timeout * 1000;
  const timer = clock.setTimer(limit, () => response.end());
  let beat = clock.setTimer(BOOKMARK_EVERY_MS, function tick() {
    if (bookmarks) bookmark(deps.requests.revision);
    beat = clock.setTimer(BOOKMARK_EVERY_MS, tick);
  });
  response.on('close', () => {
    stop();
    timer.cancel();
    beat.cancel();
  });
}
