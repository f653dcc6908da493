import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A bug that is brought back on purpose: the simulator must find it. */
export interface Mutant {
  readonly name: string;
  /** The checker that must find it. */
  readonly checker: string;
  readonly file: string;
  /** Must be there exactly once. */
  readonly code: string;
  readonly bug: string;
}

const WORKER = 'src/kubelet/sync/pod-worker.ts';
const PLAN = 'src/kubelet/sync/compute-pod-actions.ts';

/** At least one for each checker. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the next init container starts while the one before still runs',
    checker: 'init-order',
    file: PLAN,
    code: "    if (instance.state === 'running') return this.waitFor(at);\n    if (instance.state === 'unknown') {",
    bug: "    if (instance.state === 'running') return this.turnOf(at + 1);\n    if (instance.state === 'unknown') {",
  },
  {
    name: 'a start call that hangs in an old sandbox counts for the new one',
    checker: 'init-order',
    file: PLAN,
    code: 'return this.in.status.containers.some((c) => c.name === container.name && c.sandboxId === this.sandbox?.id);',
    bug: 'return true;',
  },
  {
    name: 'a restarted agent does not see what runs',
    checker: 'single-instance',
    file: 'src/kubelet/pleg/pleg.ts',
    code: '        if (isAbandonedStart(status)) return this.runtime.removeContainer(listed.id);',
    bug: '        if (containerState(status.state) === "running") return;',
  },
  {
    name: 'restarts are counted by what the runtime still has',
    checker: 'restart-counts',
    file: PLAN,
    code: 'if (shown?.containerID || shown?.lastState?.terminated) count = Math.max(count, shown.restartCount);',
    bug: '',
  },
  {
    name: 'a restarted agent forgets the back-off',
    checker: 'back-off',
    file: WORKER,
    code: 'this.restarts.set(c.name, { entry: { delayMs, bumpedAt: c.createdAt + offset } });',
    bug: 'void delayMs; void offset;',
  },
  {
    name: 'the grace period is not what the deletion asked for',
    checker: 'grace',
    file: WORKER,
    code: 'const asked = this.forced ? FORCED_GRACE_SECONDS : deletionGracePeriodSeconds;',
    bug: 'const asked = this.forced ? FORCED_GRACE_SECONDS : (deletionGracePeriodSeconds ?? 0) / 2;',
  },
  {
    name: 'the sandbox is stopped before its containers',
    checker: 'grace',
    file: WORKER,
    code: '    await this.persist(() => this.stopContainers());\n    await this.persist(() => this.stopSandboxes());',
    bug: '    await this.persist(() => this.stopSandboxes());\n    await this.persist(() => this.stopContainers());',
  },
  {
    name: "a pod's object goes before its sandbox",
    checker: 'leftovers',
    file: WORKER,
    code: '    await this.persist(() => this.removeAll());\n    this.isDone = true;',
    bug: '    this.parts.statuses.finishDeletion(this.pod);\n    await this.persist(() => this.removeAll());\n    this.isDone = true;',
  },
  {
    name: 'what was deleted while the agent was away is left alone',
    checker: 'leftovers',
    file: 'src/kubelet/kubelet.ts',
    code: '    if (!this.isReady || this.workers.has(podUID)) return;',
    bug: '    return;',
  },
  {
    name: 'a write is acknowledged before it is on the disk',
    checker: 'acknowledged-writes',
    file: 'src/apiserver/storage/object-store.ts',
    code: '    this.write(() => this.disk.put({ collection, key, revision: after.revision, value }));',
    bug: '    this.clock.setTimer(1, () => this.disk.put({ collection, key, revision: after.revision, value }));',
  },
  {
    name: 'a removal is forgotten',
    checker: 'acknowledged-writes',
    file: 'src/apiserver/storage/object-store.ts',
    code: '    this.write(() => this.disk.erase(collection, key, after.revision));',
    bug: '',
  },
  {
    name: 'a watch starts with the next event but one',
    checker: 'watch-streams',
    file: 'src/apiserver/registry/registry.ts',
    code: '      for (const change of missed) send(change);',
    bug: '      for (const change of missed.slice(1)) send(change);',
  },
  {
    name: 'ready before the first readiness check',
    checker: 'truthful-status',
    file: 'src/kubelet/prober/probe-state.ts',
    code: "readiness: 'failure', startup: 'unknown' }",
    bug: "readiness: 'success', startup: 'unknown' }",
  },
  {
    name: 'a Service sends to pods that are not ready',
    checker: 'endpoints',
    file: 'src/controllers/reconcile-endpoint-slices.ts',
    code: 'ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating),',
    bug: 'ready: true,',
  },
  {
    name: 'a lost event is never made up for',
    checker: 'eventually',
    file: 'src/kubelet/pleg/pleg.ts',
    code: 'void this.relist().then(() => this.scheduleRelist(signal));',
    bug: 'this.scheduleRelist(signal);',
  },
  {
    name: 'a conflict ends the writing of a status',
    checker: 'eventually',
    file: 'src/kubelet/status/status-manager.ts',
    code: "(hasReason(error, 'Conflict') && (await this.isReplaced(entry)))",
    bug: "hasReason(error, 'Conflict')",
  },
  {
    name: 'a plan fails for pods with a sidecar',
    checker: 'no-bugs',
    file: PLAN,
    code: "    const instance = this.instance(container);\n    if (!instance || instance.state === 'exited') {",
    bug: "    const instance = this.instance(container);\n    if (instance?.state === 'exited') throw new Error('bug');\n    if (!instance || instance.state === 'exited') {",
  },
];

/**
 * The mutant's file with its bug in it.
 * @param root the checkout, which stays as it is
 * @throws when the sources do not have the mutant's code exactly once: they have changed, and so must the mutant
 */
export function mutate({ name, file, code, bug }: Mutant, root: string): string {
  const text = readFileSync(join(root, file), 'utf8');
  const times = text.split(code).length - 1;
  if (times !== 1) throw new Error(`mutant '${name}': ${file} has ${times} times instead of once: ${code}`);
  return text.replace(code, () => bug);
}
