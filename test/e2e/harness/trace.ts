import type { ContainerStatus, PodStatus } from '../../../src/api/generated/types.ts';

export interface RecordedEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly field: string | null;
}

/** Whether `wanted` appears in `list` in this order, other items between. */
export function isSubsequence(wanted: readonly string[], list: readonly string[]): boolean {
  let next = 0;
  for (const item of list) if (item === wanted[next]) next++;
  return next >= wanted.length;
}

/** Names, numbers and times that differ from one run to the next, replaced by words. */
function plain(text: string): string {
  return text
    .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, 'POD_IP')
    .replace(/\bin \d[\w.µ]* \(\d[\w.µ]* including waiting\)/, 'in D (D including waiting)')
    .replace(/Image size: \d+ bytes/, 'Image size: N bytes')
    .replace(/p_[\w-]+\([\w-]+\)/, 'p_NS(UID)')
    .replace(/(failed to start exec|exec)(: \\?| \\?)"[0-9a-f]{64}/, '$1 "ID')
    .replace(/^\(combined from similar events\): /, '')
    .replace(/(failed to resolve reference "[^"]*": ).*/, '$1WHY')
    .replace(/(Failed to pull image "[^"]*": ).*/, '$1WHY')
    .replace(/assigned [\w-]+\/p to \S+/, 'assigned NS/p to NODE');
}

export function eventText({ type, reason, message, field }: RecordedEvent): string {
  return `${type} ${reason} ${field ?? '-'} ${plain(message)}`;
}

/**
 * A status as it is compared: without times, ids and addresses, and without what the recording machine had and this one has not: a
 * service account's volume, and a memory limit of the pod as large as its memory.
 */
export function comparable(status: PodStatus): object {
  const { startTime, hostIP, hostIPs, podIP, podIPs, resources, ...rest } = status;
  const container = (c: ContainerStatus): object => {
    const { containerID, image, imageID, volumeMounts, resources: _, user, ...other } = c;
    const shown = {
      ...other,
      hasID: containerID !== undefined && containerID !== '',
      hasImageID: imageID !== '',
      state: withoutTimes(c.state),
      lastState: withoutTimes(c.lastState),
    };
    return JSON.parse(JSON.stringify(shown), (_, v: unknown) => (typeof v === 'string' ? plain(v) : v)) as object;
  };
  const shown = {
    ...rest,
    hasStarted: startTime !== undefined,
    hasIPs: [hostIP, hostIPs, podIP, podIPs].map((x) => x !== undefined),
    conditions: [...(status.conditions ?? [])]
      .map(({ lastTransitionTime, lastProbeTime, ...c }) => c)
      .sort((a, b) => (a.type < b.type ? -1 : 1)),
    containerStatuses: status.containerStatuses?.map(container),
    initContainerStatuses: status.initContainerStatuses?.map(container),
  };
  return JSON.parse(JSON.stringify(shown)) as object;
}

function withoutTimes(state: ContainerStatus['state']): object {
  const { running, terminated, waiting } = state ?? {};
  const { startedAt, finishedAt, containerID, ...end } = terminated ?? {};
  return { ...(running && { running: {} }), ...(terminated && { terminated: end }), ...(waiting && { waiting }) };
}

export interface StatePeriod {
  readonly state: string;
  /** Seconds; the last one lasts for ever. */
  readonly lasted: number;
}

/** What each container and each condition went through. */
export function history(
  statuses: readonly { readonly at: number; readonly status: PodStatus }[],
): Map<string, StatePeriod[]> {
  const result = new Map<string, { at: number; state: string }[]>();
  for (const { at, status } of statuses) {
    const note = (what: string, state: string): void => {
      const list = result.get(what) ?? [];
      if (list.at(-1)?.state !== state) list.push({ at, state });
      result.set(what, list);
    };
    note('phase', status.phase ?? '');
    for (const c of status.conditions ?? [])
      note(`condition ${c.type}`, [c.status, c.reason, c.message].filter(Boolean).join(' '));
    for (const c of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
      note(`container ${c.name}`, containerState(c));
    }
  }
  return new Map(
    [...result].map(([what, list]) => [
      what,
      list.map(({ at, state }, i) => ({ state, lasted: (list[i + 1]?.at ?? Number.POSITIVE_INFINITY) - at })),
    ]),
  );
}

function containerState(c: ContainerStatus): string {
  const { running, terminated, waiting } = c.state ?? {};
  const state = running
    ? 'running'
    : terminated
      ? `terminated ${terminated.reason} ${terminated.exitCode}`
      : `waiting ${waiting?.reason}`;
  return `${state} restarts ${c.restartCount}${c.started ? ' started' : ''}${c.ready ? ' ready' : ''}`;
}
