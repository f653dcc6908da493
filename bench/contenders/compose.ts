import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { removeHostState } from '../../src/agent/stop-instance.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { instanceLayout } from '../../src/lib/instance.ts';
import { outputOf } from '../../test/e2e/harness/run-process.ts';
import { endsOnce, IDLE, IMAGE, SERVE, SERVED_PATH } from '../pods.ts';
import { Cannot, type Contender, type Starts } from './contender.ts';
import { Daemon } from './daemon.ts';

const NETWORK = 'bench';
/** What dockerd makes wherever its directories are; removed when it was not there before. */
const DOCKERS_OWN = ['/etc/docker/key.json', '/etc/docker', '/run/docker'];
const PROGRAMS = ['/usr/sbin/dockerd', '/usr/bin/docker-compose'];

interface Service {
  readonly command: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly restart?: 'always';
}

interface DockerEvent {
  readonly action: string;
  readonly service: string;
  readonly at: number;
}

/**
 * Docker Compose from Debian's packages, on a dockerd and a containerd of their own. What is timed is from the command's start to
 * dockerd's event. The network is there before, so that only containers count.
 */
export class Compose implements Contender {
  readonly name = 'Compose';
  readonly isForeign = true;
  readonly starts: Starts = {
    chain: () => this.untilEvent(chain(5), 'start', 'app'),
    plain: () => this.untilEvent({ app: { command: IDLE } }, 'start', 'app'),
    ready: () => this.untilEvent({ app: SERVER }, 'health_status: healthy', 'app'),
    restart: () =>
      this.withProject({ app: { command: endsOnce('/tmp'), restart: 'always' } }, async (startedAt) => {
        const exit = await this.next('die', 'app', startedAt);
        return (await this.next('start', 'app', exit.at)).at - exit.at;
      }),
    liveness: new Cannot('Docker restarts nothing for a failed health check'),
  };
  readonly pids = (): number[] => [this.dockerd!.pid, this.containerd!.pid];
  readonly largestCrowd = 20;
  readonly crowdDiffers = new Cannot('its health checks are commands in the container, no httpGet');
  private readonly rootDir: string;
  private readonly registry: string;
  private readonly socket: string;
  private containerd: Daemon | undefined;
  private dockerd: Daemon | undefined;
  private hadBefore: readonly string[] = [];
  private serial = 0;
  private events: DockerEvent[] = [];
  private waiters: (() => void)[] = [];

  /** @param registry URL of the registry that has the image */
  constructor(rootDir: string, registry: string) {
    this.rootDir = rootDir;
    this.registry = registry.replace(/^https?:\/\//, '');
    this.socket = join(rootDir, 'docker.sock');
  }

  /** Why it cannot be measured on this machine, if so. */
  static missing(): string | undefined {
    const missing = PROGRAMS.filter((program) => !existsSync(program));
    return missing.length === 0 ? undefined : `${missing.join(' and ')} not there; make bench installs Debian's`;
  }

  async start(): Promise<void> {
    const { rootDir } = this;
    const { cgroupParent } = instanceLayout(rootDir);
    const inDir = (name: string): string => join(rootDir, name);
    mkdirSync(rootDir, { recursive: true });
    this.hadBefore = DOCKERS_OWN.filter((path) => existsSync(path));
    const containerdSocket = inDir('containerd.sock');
    const text = JSON.stringify;
    writeFileSync(
      inDir('containerd.toml'),
      `version = 2
root = ${text(inDir('containerd'))}
state = ${text(inDir('containerd-state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = ${text(containerdSocket)}
`,
    );
    writeFileSync(inDir('daemon.json'), '{}');
    this.containerd = await Daemon.start(
      'containerd',
      ['--config', inDir('containerd.toml')],
      inDir('containerd.log'),
      async () => existsSync(containerdSocket),
    );
    const args = ['--config-file', inDir('daemon.json'), '--data-root', inDir('data'), '--exec-root', inDir('exec')];
    args.push('--host', `unix://${this.socket}`, '--pidfile', inDir('docker.pid'), '--containerd', containerdSocket);
    // No bridge, no rules, no cgroups but our own: nothing of the host's is touched.
    args.push('--bridge', 'none', '--iptables=false', '--ip6tables=false', '--cgroup-parent', cgroupParent);
    this.dockerd = await Daemon.start('dockerd', args, inDir('dockerd.log'), () => this.answers());
    await this.docker('network', 'create', NETWORK);
    await this.docker('pull', '--quiet', this.image);
    this.follow();
  }

  async stop(): Promise<void> {
    if (this.dockerd) {
      const ids = (await this.docker('ps', '--all', '--quiet')).split('\n').filter(Boolean);
      if (ids.length > 0) await this.docker('rm', '--force', ...ids);
      await this.docker('network', 'rm', NETWORK).catch(() => {});
    }
    await this.dockerd?.stop();
    await this.containerd?.stop();
    this.dockerd = undefined;
    this.containerd = undefined;
    await removeHostState(instanceLayout(this.rootDir), new SystemClock(), { keepImages: false });
    for (const path of DOCKERS_OWN) if (!this.hadBefore.includes(path)) rmSync(path, { recursive: true, force: true });
    rmSync(this.rootDir, { recursive: true, force: true });
  }

  readonly crowd = async (count: number): Promise<number> => {
    const services = Object.fromEntries(Array.from({ length: count }, (_, i) => [`app-${i}`, SERVER]));
    const startedAt = performance.now();
    const up = this.compose(services, 'up', '--detach');
    await Promise.all([
      up,
      ...Object.keys(services).map((name) => this.next('health_status: healthy', name, startedAt)),
    ]);
    return performance.now() - startedAt;
  };

  private get image(): string {
    return `${this.registry}/library/${IMAGE}`;
  }

  private untilEvent(services: Record<string, Service>, action: string, service: string): Promise<number> {
    return this.withProject(
      services,
      async (startedAt) => (await this.next(action, service, startedAt)).at - startedAt,
    );
  }

  /** The sample that `measure` makes of the services, and then of them nothing. */
  private async withProject(
    services: Record<string, Service>,
    measure: (startedAt: number) => Promise<number>,
  ): Promise<number> {
    const startedAt = performance.now();
    const [took] = await Promise.all([measure(startedAt), this.compose(services, 'up', '--detach')]);
    await this.compose(services, 'down', '--timeout', '5');
    return took;
  }

  private async compose(services: Record<string, Service>, ...args: string[]): Promise<void> {
    const file = join(this.rootDir, `compose-${this.serial++}.json`);
    const networks = { default: { external: { name: NETWORK } } };
    // A dollar sign is doubled, since Compose puts variables in.
    const withImage = Object.entries(services).map(([name, service]) => [
      name,
      { ...service, image: this.image, command: service.command.map((word) => word.replaceAll('$', '$$$$')) },
    ]);
    writeFileSync(file, JSON.stringify({ version: '2.4', networks, services: Object.fromEntries(withImage) }));
    await this.run('docker-compose', '--project-name', 'bench', '--file', file, ...args);
  }

  private docker(...args: string[]): Promise<string> {
    return this.run('docker', ...args);
  }

  private run(program: string, ...args: string[]): Promise<string> {
    const env = { DOCKER_HOST: `unix://${this.socket}`, DOCKER_CONFIG: this.rootDir, COMPOSE_HTTP_TIMEOUT: '300' };
    return outputOf(program, args, { env, cwd: this.rootDir, timeoutMs: 300_000 });
  }

  private async answers(): Promise<boolean> {
    return new Promise((resolve) => {
      get({ socketPath: this.socket, path: '/_ping' }, (response) => {
        text(response).then((body) => resolve(body === 'OK'));
      }).on('error', () => resolve(false));
    });
  }

  /** Notes dockerd's events as they come. */
  private follow(): void {
    get({ socketPath: this.socket, path: '/events' }, (response) => {
      const lines = createInterface(response);
      lines.on('error', () => {}); // dockerd ends before us
      lines.on('line', (line) => {
        const at = performance.now();
        const { Type, Action, Actor } = JSON.parse(line) as {
          Type: string;
          Action: string;
          Actor: { Attributes: Record<string, string> };
        };
        if (Type !== 'container' || Action.startsWith('exec_')) return;
        const service = Actor.Attributes['com.docker.compose.service'] ?? '';
        this.events = [...this.events.slice(-999), { action: Action, service, at }];
        for (const wake of this.waiters.splice(0)) wake();
      });
    });
  }

  private async next(action: string, service: string, since: number): Promise<DockerEvent> {
    for (;;) {
      const found = this.events.find((e) => e.action === action && e.service === service && e.at > since);
      if (found) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }
}

const SERVER: Service = {
  command: SERVE,
  healthcheck: {
    test: ['CMD', 'wget', '-q', '-O', '/dev/null', `http://127.0.0.1${SERVED_PATH}`],
    ...{ interval: '1s', timeout: '1s', retries: 3 },
  },
};

/** So many services that end, each after the one before, and one that stays. */
function chain(inits: number): Record<string, Service> {
  const after = (i: number): Pick<Service, 'depends_on'> =>
    i === 0 ? {} : { depends_on: { [`init-${i - 1}`]: { condition: 'service_completed_successfully' } } };
  const services = Array.from({ length: inits }, (_, i) => [`init-${i}`, { command: ['true'], ...after(i) }]);
  return { ...Object.fromEntries(services), app: { command: IDLE, ...after(inits) } };
}
