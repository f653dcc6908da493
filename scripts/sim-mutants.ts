/**
 * Brings bugs back on purpose, each in a copy of the sources, and shows that the simulator finds it: `make sim-mutants`.
 *   node scripts/sim-mutants.ts [NAME ...]
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Mutant {
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

const MUTANTS: readonly Mutant[] = [
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
    bug: '    queueMicrotask(() => this.disk.put({ collection, key, revision: after.revision, value }));',
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

const ROOT = join(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const started = performance.now();
let missed = 0;
for (const mutant of MUTANTS) {
  if (wanted.length > 0 && !wanted.some((text) => mutant.name.includes(text) || mutant.checker === text)) continue;
  const dir = join(ROOT, '.cache/sim-mutant');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'scripts'), { recursive: true });
  cpSync(join(ROOT, 'src'), join(dir, 'src'), { recursive: true });
  cpSync(join(ROOT, 'scripts/sim.ts'), join(dir, 'scripts/sim.ts'));
  cpSync(join(ROOT, 'package.json'), join(dir, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const file = join(dir, mutant.file);
  const text = readFileSync(file, 'utf8');
  if (text.split(mutant.code).length !== 2)
    throw new Error(`${mutant.file} does not have exactly once: ${mutant.code}`);
  writeFileSync(
    file,
    text.replace(mutant.code, () => mutant.bug),
  );
  const output = await run(dir, [
    'scripts/sim.ts',
    '--seeds',
    '1000',
    '--enough',
    '1',
    '--shrink',
    '0',
    '--only',
    mutant.checker,
  ]);
  const found = /^sim: seed (\d+): (.*)$/m.exec(output);
  if (!found) missed++;
  console.log(
    found
      ? `found     ${mutant.name}\n          seed ${found[1]}: ${found[2]}`
      : `NOT FOUND ${mutant.name} (${mutant.checker})\n${output.slice(-2000)}`,
  );
  rmSync(dir, { recursive: true, force: true });
}
console.log(`sim-mutants: ${missed} not found, ${((performance.now() - started) / 1000).toFixed(0)} s`);
process.exitCode = missed > 0 ? 1 : 0;

function run(cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}
