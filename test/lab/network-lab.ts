/** Network namespaces that play a host, its pods and the world: real kernel, real sockets, and nothing of the machine's own is touched. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** The host's address in the world, and the world's. */
export const HOST_ADDRESS = '192.0.2.1';
export const WORLD_ADDRESS = '192.0.2.2';

let labs = 0;

export class NetworkLab {
  private readonly prefix = `kl${process.pid}x${labs++}`;
  private readonly namespaces: string[] = [];
  private readonly processes: ChildProcess[] = [];

  private readonly bridge: string;
  private readonly network: string;

  /** @param bridge pods hang off it; its address is the first of `network`, such as `10.199.0` */
  constructor(bridge: string, network: string) {
    this.bridge = bridge;
    this.network = network;
    for (const name of ['host', 'world']) this.addNamespace(name);
    this.shell(
      'host',
      `ip link add ${bridge} type bridge && ip addr add ${network}.1/24 dev ${bridge} && ip link set ${bridge} up
       ip link add world type veth peer name eth0 netns ${this.named('world')}
       echo 0 > /proc/sys/net/ipv4/icmp_ratelimit # tests are refused more often than clients
       ip addr add ${HOST_ADDRESS}/24 dev world && ip link set world up && ip route add default via ${WORLD_ADDRESS}`,
    );
    this.shell('world', `ip addr add ${WORLD_ADDRESS}/24 dev eth0 && ip link set eth0 up`);
  }

  /** Makes a pod's network, at `network.n`. */
  addPod(name: string, n: number): void {
    this.addNamespace(name);
    this.shell(
      'host',
      `ip link add v${n} type veth peer name eth0 netns ${this.named(name)} && ip link set v${n} master ${this.bridge} up &&
       bridge link set dev v${n} hairpin on`,
    );
    this.shell(
      name,
      `ip addr add ${this.network}.${n}/24 dev eth0 && ip link set eth0 up && ip route add default via ${this.network}.1`,
    );
  }

  private addNamespace(name: string): void {
    run('ip', 'netns', 'add', this.named(name));
    this.namespaces.push(name);
    this.shell(name, 'ip link set lo up');
  }

  private named(namespace: string): string {
    return `${this.prefix}${namespace}`;
  }

  /** @returns what the commands print */
  shell(namespace: string, commands: string): string {
    return run('ip', 'netns', 'exec', this.named(namespace), 'sh', '-ec', commands);
  }

  /** Runs JavaScript (a module) in a namespace; its imports are TypeScript files by URL. @returns what it prints */
  node(namespace: string, code: string): string {
    return run(
      'ip',
      'netns',
      'exec',
      this.named(namespace),
      process.execPath,
      '--input-type=module',
      '-e',
      code,
    ).trim();
  }

  /** A process that runs JavaScript until the lab closes, and takes a line of input at a time. */
  async start(namespace: string, code: string): Promise<LabProcess> {
    const args = ['netns', 'exec', this.named(namespace), process.execPath, '--input-type=module', '-e', code];
    const child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.processes.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { done, value } = await lines.next();
      if (done) throw new Error(`the process in ${namespace} has ended`);
      return value;
    };
    await next();
    return {
      ask: (line) => {
        child.stdin.write(`${line.replaceAll('\n', ' ')}\n`);
        return next();
      },
      end: () => child.kill(),
    };
  }

  /** Answers each connection, and each datagram, with `NAME SENDER'S-ADDRESS`. A connection stays open and answers each line. */
  async serve(namespace: string, name: string, port: number): Promise<void> {
    await this.start(
      namespace,
      `import { createServer } from 'node:net';
       import { createSocket } from 'node:dgram';
       const answer = (from) => '${name} ' + from + '\\n';
       createServer((s) => {
         s.on('error', () => {});
         s.on('data', () => s.write(answer(s.remoteAddress)));
       }).listen(${port}, '0.0.0.0', () => {
         const udp = createSocket('udp4');
         udp.on('message', (_, from) => udp.send(answer(from.address), from.port, from.address));
         udp.bind(${port}, '0.0.0.0', () => console.log('up'));
       });`,
    );
  }

  /** What `count` connections, one after another, are answered: by whom, or the error's code. */
  tcp(namespace: string, address: string, port: number, count = 1): string[] {
    const out = this.node(
      namespace,
      `import { connect } from 'node:net';
       for (let i = 0; i < ${count}; i++) await new Promise((resolve) => {
         const s = connect({ host: '${address}', port: ${port}, timeout: 1500 }, () => s.write('x'));
         const done = (text) => { console.log(text.trim()); s.destroy(); resolve(); };
         s.on('data', (d) => done(String(d)));
         s.on('timeout', () => done('timeout'));
         s.on('error', (e) => done(e.code));
       });`,
    );
    return out.split('\n');
  }

  /** The same of datagrams, each from a port of its own. */
  udp(namespace: string, address: string, port: number, count = 1): string[] {
    const out = this.node(
      namespace,
      `import { createSocket } from 'node:dgram';
       for (let i = 0; i < ${count}; i++) await new Promise((resolve) => {
         const s = createSocket('udp4');
         const done = (text) => { console.log(text.trim()); clearTimeout(timer); s.close(); resolve(); };
         const timer = setTimeout(() => done('timeout'), 1500);
         s.on('message', (d) => done(String(d)));
         s.on('error', (e) => done(e.code));
         s.connect(${port}, '${address}', () => s.send('x'));
       });`,
    );
    return out.split('\n');
  }

  close(): void {
    for (const child of this.processes) child.kill('SIGKILL');
    for (const namespace of this.namespaces) run('ip', 'netns', 'delete', this.named(namespace));
  }
}

export interface LabProcess {
  /** Writes a line; breaks in it become blanks. @returns the next line that it prints */
  ask(line: string): Promise<string>;
  end(): void;
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 });
}
