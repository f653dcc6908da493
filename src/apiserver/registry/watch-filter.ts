import type { Change, Version } from '../storage/mvcc.ts';
import { withRevision } from '../storage/object-store.ts';
import type { Selection } from './selection.ts';

/** What a watcher sees of a change. */
export interface Seen {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: Version;
}

/**
 * A change as one watcher sees it: an object that begins to match appears, one that ceases to match disappears (with its last
 * matching state and the revision of the change). Undefined when it does not concern the watcher. Pure.
 * Source: apiserver pkg/storage/cacher convertToWatchEvent
 */
export function filterChange(change: Change, selection: Selection): Seen | undefined {
  const { before, after, deleted } = change;
  if (selection.key !== undefined && after.key !== selection.key) return undefined;
  const matched = before !== undefined && selection.matches(before);
  const matches = !deleted && selection.matches(after);
  if (matches) return { type: matched ? 'MODIFIED' : 'ADDED', version: after };
  if (!matched) return undefined;
  return { type: 'DELETED', version: deleted ? after : withRevision(before, change.revision) };
}
