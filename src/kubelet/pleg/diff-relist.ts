/** What is known of one thing that the runtime lists. */
export interface Known<S> {
  readonly state: S;
  /** Order of the last change on our side; what changed after a list was asked for is newer than its answer. */
  readonly seq: number;
}

export interface RelistDiff {
  /** Listed, and not known or known differently: to be asked for in detail. */
  readonly changed: string[];
  /** Known and not listed any more. */
  readonly gone: string[];
}

/**
 * Compares a list that the runtime gave with what is known. Pure.
 * @param asked the order number at which the list was asked for
 */
export function diffRelist<S>(
  known: ReadonlyMap<string, Known<S>>,
  listed: ReadonlyMap<string, S>,
  asked: number,
): RelistDiff {
  const changed = [...listed].filter(([id, state]) => {
    const old = known.get(id);
    return !old || (old.state !== state && old.seq <= asked);
  });
  const gone = [...known].filter(([id, old]) => !listed.has(id) && old.seq <= asked);
  return { changed: changed.map(([id]) => id), gone: gone.map(([id]) => id) };
}
