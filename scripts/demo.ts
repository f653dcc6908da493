/**
 * The two example manifests, live; on a machine that cannot run containers, what is missing, and then simulated. `demo` shows them from start to restart and cleans up; `demo up` leaves the node running to play
 * with (with `--wordpress`, it has the images of examples/wordpress as well), and `demo down` ends it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import { kubectlBinaries } from '../test/e2e/harness/kubectl-binaries.ts';
import { outputOf, runProcess } from '../test/e2e/harness/run-process.ts';
import { type StandInSettings, startStandIns } from '../test/stand-ins/start-stand-ins.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kubelette = join(root, 'bin/kubelette');
const standInsCommand = join(root, 'test/stand-ins/stand-ins.ts');
const manifests = ['init-demo', 'webapl'].map((name) => join(root, 'examples', `${name}.yaml`));
/** Of `demo up`, one for each user of this machine is enough. */
const UP_DIR = '/var/tmp/kubelette-up';
const DEMO_DIR = '/var/tmp/kubelette-demo-';
const DEADLINE_MS = 240_000;

// --- what is printed ---------------------------------------------------------------------------------------------------------

const began = performance.now();
const elapsed = (): string => `${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`;
const dim = (text: string): string => styleText('dim', text);

/** One line with the seconds since the start. */
function line(text: string): void {
  console.log(`${dim(elapsed())}  ${text}`);
}

function heading(text: string): void {
  console.log(`\n${dim(elapsed())}  ${styleText('bold', text)}`);
}

/** Output of a command, set off from our own words. */
function quote(text: string): void {
  for (const l of text.trimEnd().split('\n')) console.log(`         ${styleText('cyan', l)}`);
}

// --- the outside world -------------------------------------------------------------------------------------------------------

/** Whether Docker Hub is in reach and has the rarest of the three images. */
async function registryInReach(): Promise<boolean> {
  const [repository, tag] = ['maho/webapl', '0.1'];
  const signal = AbortSignal.timeout(3000);
  try {
    const scope = `service=registry.docker.io&scope=repository:${repository}:pull`;
    const { token } = (await (await fetch(`https://auth.docker.io/token?${scope}`, { signal })).json()) as {
      token: string;
    };
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'application/vnd.docker.distribution.manifest.v2+json',
    };
    const url = `https://registry-1.docker.io/v2/${repository}/manifests/${tag}`;
    return (await fetch(url, { method: 'HEAD', headers, signal })).ok;
  } catch {
    return false;
  }
}

/** Says which images will run, and gives the options that `kubelette up` needs for them. */
async function imageOptions(startThem: () => Promise<StandInSettings>): Promise<string[]> {
  if (await registryInReach()) {
    line('Docker Hub is in reach: the real images are pulled.');
    return [];
  }
  line(
    `No registry is in reach, so these are ${styleText('bold', 'stand-ins')}, made from Debian packages on this machine and pulled from a registry on`,
  );
  line(
    'loopback: nginx, busybox, maho/webapl:0.1, registry.k8s.io/pause:3.10, and a resolver and page for info.cern.ch.',
  );
  const { registryMirror, resolvConf } = await startThem();
  return ['--registry-mirror', registryMirror, '--resolv-conf', resolvConf];
}

// --- the node ----------------------------------------------------------------------------------------------------------------

/** kubectl where there is a usable one, otherwise kubelette, which knows the words used here as well. */
interface Tool {
  readonly name: 'kubectl' | 'kubelette';
  readonly command: string;
  readonly env: Record<string, string>;
  readonly options: readonly string[];
}

function toolFor(rootDir: string): Tool {
  const kubectl = kubectlBinaries().at(-1);
  if (kubectl) {
    const env = { KUBECONFIG: join(rootDir, 'kubeconfig'), KUBECACHEDIR: join(rootDir, 'kubectl-cache') };
    return { name: 'kubectl', command: kubectl.path, env, options: [] };
  }
  line('There is no kubectl (1.27 or newer) on this machine: kubelette takes its place.');
  return { name: 'kubelette', command: kubelette, env: {}, options: ['--root-dir', rootDir] };
}

/** Shows a command as one would type it, runs it and shows what it prints. */
async function show(tool: Tool, ...args: string[]): Promise<string> {
  const typed = args.map((a) => (a === '' || /[\s;|&$"']/.test(a) ? `'${a}'` : a.replace(`${root}/`, '')));
  line(`${styleText('bold', '$')} ${tool.name} ${typed.join(' ')}`);
  const output = await outputOf(tool.command, [args[0]!, ...tool.options, ...args.slice(1)], {
    env: tool.env,
    cwd: root,
  });
  quote(output);
  return output;
}

async function startNode(rootDir: string, options: readonly string[]): Promise<void> {
  heading('A node: API server, kubelet and a containerd of its own');
  const args = ['up', '--detach', '--root-dir', rootDir, ...options];
  const started = performance.now();
  const { code, stdout, stderr } = await runProcess(kubelette, args, { timeoutMs: 120_000 });
  if (code !== 0) throw new Error(`kubelette up failed:\n${stdout}${stderr}`);
  line(`The node is Ready, ${((performance.now() - started) / 1000).toFixed(1)} s after \`kubelette up --detach\`.`);
}

// --- what happens to the pods ------------------------------------------------------------------------------------------------

interface PodRow {
  readonly ready: string;
  readonly status: string;
  readonly restarts: number;
}

/** Follows `get pods -w` and `get events -w` and prints each change, with a word on what it means. */
class Timeline {
  readonly rows = new Map<string, PodRow>();
  private readonly children: ReturnType<typeof spawn>[] = [];
  private readonly waiters = new Set<() => void>();
  private failure: Error | undefined;
  private readonly eventCounts = new Map<string, number>();

  constructor(tool: Tool) {
    this.follow(tool, 'pods', (text) => this.onPod(text));
    this.follow(tool, 'events', (text) => this.onEvent(text));
  }

  /** Resolves once `condition` holds; rejects when the watch ends or time is up. */
  async until(condition: () => boolean, what: string, signal: AbortSignal): Promise<void> {
    while (!condition()) {
      if (this.failure) throw this.failure;
      signal.throwIfAborted();
      if (performance.now() - began > DEADLINE_MS) throw new Error(`${what}: not within ${DEADLINE_MS / 1000} s`);
      await new Promise<void>((resolve) => {
        this.waiters.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
        setTimeout(resolve, 1000).unref();
      });
    }
  }

  stop(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }

  private follow(tool: Tool, what: string, onLine: (text: string) => void): void {
    const child = spawn(tool.command, ['get', ...tool.options, what, '-w'], {
      env: { ...process.env, ...tool.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    createInterface(child.stdout!).on('line', (text) => {
      onLine(text);
      for (const wake of this.waiters) wake();
      this.waiters.clear();
    });
    child.on('error', (error) => {
      this.failure = error;
    });
    this.children.push(child);
  }

  private onPod(text: string): void {
    const [name, ready, status, restarts] = text.split(/\s+/);
    if (name === 'NAME' || !ready || !status) return;
    const row: PodRow = { ready, status, restarts: Number(restarts) };
    const before = this.rows.get(name!);
    this.rows.set(name!, row);
    if (before && before.ready === ready && before.status === status && before.restarts === row.restarts) return;
    const good = status === 'Running' && ready === '1/1';
    const shown = styleText(good ? 'green' : 'yellow', `${ready} ${status.padEnd(18)} restarts ${row.restarts}`);
    line(`${styleText('bold', name!.padEnd(10))} ${shown}  ${dim(meaning(name!, before, row))}`);
  }

  /** An event that happens again is one event with a higher count, which the watch shows as one more line. */
  private onEvent(text: string): void {
    const match = /\s(Normal|Warning)\s+(\S+)\s+pod\/(\S+)\s+(.*)$/.exec(text);
    if (!match) return;
    const [, type, reason, pod, message] = match;
    const key = `${pod} ${reason} ${message}`;
    const times = (this.eventCounts.get(key) ?? 0) + 1;
    this.eventCounts.set(key, times);
    const words = `${reason}: ${message!.trim()}${type === 'Warning' && times > 1 ? ` (${times} times now)` : ''}`;
    line(`${dim(pod!.padEnd(10))} ${type === 'Warning' ? styleText('red', words) : dim(words)}`);
  }
}

function meaning(name: string, before: PodRow | undefined, now: PodRow): string {
  if (/^Init:\d/.test(now.status)) return 'the init container fetches the page; nginx has to wait';
  if (now.status === 'PodInitializing') return 'the init container has succeeded';
  if (before && now.restarts > before.restarts) return '/healthz failed three times: killed and started again';
  if (now.status !== 'Running') return '';
  if (now.ready === '0/1') return name === 'webapl' ? 'running, but /ready still answers 500: no traffic' : '';
  return name === 'webapl' ? '/ready answers 200: it may have traffic' : 'nginx serves what the init container fetched';
}

// --- the commands ------------------------------------------------------------------------------------------------------------

async function demo(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!stop.signal.aborted) console.log('\nStopping: everything is removed first ...');
      stop.abort();
    });
  }
  const rootDir = mkdtempSync(DEMO_DIR);
  const cleanups: (() => unknown)[] = [() => rmSync(rootDir, { recursive: true, force: true })];
  heading('Where the images come from');
  try {
    const options = await imageOptions(async () => {
      const standIns = await startStandIns((text) => line(dim(text)));
      cleanups.push(() => standIns.stop());
      return standIns;
    });
    stop.signal.throwIfAborted();
    cleanups.push(() => outputOf(kubelette, ['down', '--purge', '--root-dir', rootDir], { timeoutMs: 120_000 }));
    await startNode(rootDir, ['--port', '0', ...options]);
    stop.signal.throwIfAborted();

    const tool = toolFor(rootDir);
    const timeline = new Timeline(tool);
    cleanups.push(() => timeline.stop());
    heading('Both manifests');
    for (const manifest of manifests) await show(tool, 'apply', '-f', manifest);
    const running = (name: string) => timeline.rows.get(name)?.status === 'Running';
    await timeline.until(() => running('init-demo'), 'init-demo is Running', stop.signal);

    heading('A shell in init-demo: nginx serves what its init container fetched');
    await show(tool, 'exec', 'init-demo', '--', '/bin/bash', '-c', 'cat /usr/share/nginx/html/index.html');

    heading('webapl: /ready answers 200 after 20 s, /healthz 500 after 40 s');
    const webapl = () => timeline.rows.get('webapl');
    await timeline.until(() => webapl()?.ready === '1/1', 'webapl is Ready', stop.signal);
    const restarted = () => running('webapl') && (webapl()?.restarts ?? 0) > 0;
    await timeline.until(restarted, 'webapl was restarted', stop.signal);
    await show(tool, 'get', 'pods');
    heading('That was it: init container, readiness, liveness, restart.');
    line(`To play with it yourself: ${styleText('bold', 'make up')}`);
  } catch (error) {
    if (!stop.signal.aborted) {
      console.error(`\n${styleText('red', 'The demo failed:')} ${error instanceof Error ? error.message : error}`);
      const log = join(rootDir, 'agent.log');
      if (existsSync(log))
        console.error(`The end of ${log}:\n${readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')}`);
    }
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
  line('Removing everything ...');
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    }
  }
  line('Nothing is left running.');
  process.exit();
}

async function up(standInSet: readonly string[]): Promise<void> {
  if (existsSync(join(UP_DIR, 'kubeconfig'))) {
    line(`There is one already (${UP_DIR}): \`make down\` first.`);
    process.exit(1);
  }
  heading('Where the images come from');
  const options = await imageOptions(async () => {
    const settings = await outputOf(process.execPath, [standInsCommand, 'up', '--json', ...standInSet], {
      timeoutMs: 600_000,
    });
    writeFileSync(`${UP_DIR}.stand-ins`, settings);
    return JSON.parse(settings) as StandInSettings;
  });
  await startNode(UP_DIR, ['--port', '0', ...options]);
  const tool = toolFor(UP_DIR);
  heading('Both manifests');
  for (const manifest of manifests) await show(tool, 'apply', '-f', manifest);
  heading('Yours to play with');
  const words =
    tool.name === 'kubectl'
      ? `export KUBECONFIG=${UP_DIR}/kubeconfig`
      : `alias kubectl='${kubelette} --root-dir ${UP_DIR}'`;
  quote(
    `${words}\nkubectl get pods -w\nkubectl exec -it init-demo -- /bin/bash\nkubectl describe pod webapl\nmake down`,
  );
}

async function down(): Promise<void> {
  await outputOf(kubelette, ['down', '--purge', '--root-dir', UP_DIR], { timeoutMs: 120_000 });
  const file = `${UP_DIR}.stand-ins`;
  if (existsSync(file)) {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as StandInSettings;
    await outputOf(process.execPath, [standInsCommand, 'down', String(pid)]);
    rmSync(file);
  }
  line('Nothing is left running.');
}

// --- where containers cannot run ---------------------------------------------------------------------------------------------

/** What this machine lacks to run containers, when everything is installed that can be: lines of `kubelette doctor`, or our own. */
async function lacks(): Promise<string[]> {
  if (process.platform !== 'linux') return [`Linux: this is ${process.platform}`];
  const isRoot = process.getuid?.() === 0;
  if (isRoot && spawnSync(join(root, 'scripts/setup'), { stdio: 'inherit' }).status !== 0) {
    return ['what scripts/setup could not install, see above'];
  }
  const { stdout, stderr } = await runProcess(kubelette, ['doctor']);
  if (stdout === '') return [stderr];
  // The demo's API server takes a free port.
  return stdout.split('\n').filter((l) => l.startsWith('fail') && !l.includes('API port'));
}

/** The same two pods on virtual time: needs nothing of the machine. */
async function simulated(lacking: readonly string[]): Promise<void> {
  heading('Containers cannot run here. This machine lacks:');
  quote(lacking.join('\n'));
  heading('So this is what both pods would do: the same kubelet on virtual time, on a simulated machine');
  const args = ['simulate', ...manifests, '--scenario', join(root, 'examples/webapl.scenario.yaml')];
  line(`${styleText('bold', '$')} kubelette ${args.map((a) => a.replace(`${root}/`, '')).join(' ')}`);
  process.exitCode = spawnSync(kubelette, args, { stdio: 'inherit' }).status ?? 1;
}

async function demoOrForecast(): Promise<void> {
  const lacking = await lacks();
  if (lacking.length === 0) await demo();
  else await simulated(lacking);
}

const [command, ...words] = process.argv.slice(2);
if (command !== undefined && process.getuid?.() !== 0) {
  console.error(`Running containers needs root: sudo make ${command}`);
  process.exit(1);
}
if (command === 'up') await up(words);
else if (command === 'down') await down();
else await demoOrForecast();
