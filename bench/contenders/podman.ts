import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../src/api/generated/types.ts';
import { runProcess } from '../../test/e2e/harness/run-process.ts';
import { idlePod } from '../pods.ts';
import { Cannot, type Contender, type Starts } from './contender.ts';

const PROGRAM = '/usr/bin/podman';
const NO_AGENT = new Cannot('podman has no agent');

/**
 * `podman kube play`, with a store of its own. Its pods get no network, since the rules it makes for one are the host's: what is timed
 * is the less for that. Does not start where its containers do not.
 */
export class Podman implements Contender {
  readonly name = 'podman';
  readonly isForeign = true;
  readonly starts: Starts = {
    chain: () => this.play(idlePod(5)),
    plain: () => this.play(idlePod()),
    ready: new Cannot('podman needs systemd for health checks'),
    restart: new Cannot('not measured'),
    liveness: new Cannot('podman needs systemd for health checks'),
  };
  readonly crowd = NO_AGENT;
  readonly pids = NO_AGENT;
  private readonly rootDir: string;
  private readonly registry: string;

  /** @param registry URL of the registry that has the image */
  constructor(rootDir: string, registry: string) {
    this.rootDir = rootDir;
    this.registry = registry.replace(/^https?:\/\//, '');
  }

  static missing(): string | undefined {
    return existsSync(PROGRAM) ? undefined : `${PROGRAM} not there; make bench installs Debian's`;
  }

  async start(): Promise<void> {
    mkdirSync(this.rootDir, { recursive: true });
    await this.play(idlePod());
  }

  async stop(): Promise<void> {
    if (existsSync(this.rootDir)) await this.podman('pod', 'rm', '--all', '--force');
    rmSync(this.rootDir, { recursive: true, force: true });
  }

  private async play(pod: Pod): Promise<number> {
    const file = join(this.rootDir, 'pod.json');
    const inRegistry = JSON.stringify(pod).replaceAll('"image":"', `"image":"${this.registry}/library/`);
    writeFileSync(file, inRegistry);
    const startedAt = performance.now();
    await this.podman('kube', 'play', '--quiet', '--tls-verify=false', '--network', 'none', file);
    const took = performance.now() - startedAt;
    await this.podman('pod', 'rm', '--force', pod.metadata.name!);
    return took;
  }

  private async podman(...args: string[]): Promise<void> {
    const inDir = (name: string): string => join(this.rootDir, name);
    const store = ['--root', inDir('root'), '--runroot', inDir('run'), '--tmpdir', inDir('tmp')];
    const own = ['--network-config-dir', inDir('networks'), '--events-backend', 'file', '--cgroup-manager', 'cgroupfs'];
    const { code, stdout, stderr } = await runProcess(PROGRAM, [...store, ...own, ...args], { cwd: '/' });
    if (code === 0) return;
    const said = `${stderr}\n${stdout}`.split('\n').find((line) => /denied|not permitted|rror/.test(line));
    throw new Error(`podman ${args.slice(0, 2).join(' ')}: ${said?.trim() ?? `ended with ${code}`}`);
  }
}
