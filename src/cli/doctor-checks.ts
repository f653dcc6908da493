import type { FirewallWarning } from '../kubelet/network/firewall.ts';

/** What is known of a host, collected without changing it. Undefined: could not be found out. */
export interface HostFacts {
  /** How the user started us, for the commands that are advised. */
  readonly rootDir: string;
  readonly isDefaultRootDir: boolean;
  readonly uid: number;
  readonly nodeVersion: string;
  readonly kernel: string;
  /** From /proc/filesystems. */
  readonly filesystems: readonly string[];
  /** From /proc/self/ns. */
  readonly namespaces: readonly string[];
  /** Bit n stands for capability n: CapEff of /proc/self/status. */
  readonly capabilities: bigint;
  readonly cgroups: {
    readonly v2:
      | { readonly path: string; readonly controllers: readonly string[]; readonly writable: boolean }
      | undefined;
    readonly v1: readonly { readonly controller: string; readonly writable: boolean }[];
  };
  /** Version lines of programs; undefined when they are not found. */
  readonly programs: Readonly<Record<'containerd' | 'shim' | 'runc' | 'nft' | 'ip' | 'mount', string | undefined>>;
  /** The directory in which all CNI plugins are. */
  readonly cniDir: string | undefined;
  /** Why `nft list tables` fails; undefined when it works (or there is no nft). */
  readonly nftError: string | undefined;
  readonly port: { readonly number: number; readonly error: string | undefined };
  readonly disk: {
    readonly path: string;
    readonly freeBytes: number;
    readonly totalBytes: number;
    readonly freeInodes: number;
  };
  readonly ipForward: boolean | undefined;
  /** What chains of others do to pods. */
  readonly firewall: readonly FirewallWarning[] | undefined;
  readonly resolvConf: { readonly path: string; readonly nameservers: readonly string[] } | undefined;
  /** Agents that run now. */
  readonly instances:
    | readonly {
        readonly rootDir: string | undefined;
        readonly id: string;
        readonly pid: number;
        readonly server: string;
        readonly own: boolean;
      }[]
    | undefined;
}

export interface Check {
  readonly name: string;
  /** `fail`: no pod can run. `warn`: something works less well. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** The command that mends it, or what to do where no command can. */
  readonly mend?: string | undefined;
}

const GIB = 1024 ** 3;
const MIN_NODE = 24;
const MIN_KERNEL = [4, 18] as const;

/** Capabilities by number (linux/capability.h), and what lacks without them. */
const NEEDED = new Map([
  ['CAP_CHOWN', 0],
  ['CAP_DAC_OVERRIDE', 1],
  ['CAP_FOWNER', 3],
  ['CAP_KILL', 5],
  ['CAP_SETGID', 6],
  ['CAP_SETUID', 7],
  ['CAP_SETPCAP', 8],
  ['CAP_NET_ADMIN', 12],
  ['CAP_SYS_CHROOT', 18],
  ['CAP_SYS_ADMIN', 21],
  ['CAP_MKNOD', 27],
]);
const WANTED = new Map([
  ['CAP_NET_BIND_SERVICE', 10],
  ['CAP_NET_RAW', 13],
  ['CAP_SYS_PTRACE', 19],
  ['CAP_SYS_RESOURCE', 24],
]);

/** Judges what was found. Pure. */
export function evaluateHost(facts: HostFacts): Check[] {
  return [
    checkUser(facts),
    checkNode(facts),
    checkKernel(facts),
    checkCapabilities(facts),
    checkCgroups(facts),
    ...checkPrograms(facts),
    checkCni(facts),
    checkNft(facts),
    checkForwarding(facts),
    ...checkFirewall(facts),
    checkResolver(facts),
    checkPort(facts),
    checkDisk(facts),
    checkInstances(facts),
  ];
}

function checkUser({ uid }: HostFacts): Check {
  const name = 'user';
  return uid === 0
    ? { name, level: 'ok', text: 'root' }
    : { name, level: 'fail', text: `user id ${uid}; running containers takes root`, mend: 'sudo kubelette doctor' };
}

function checkNode({ nodeVersion }: HostFacts): Check {
  const name = 'Node.js';
  const major = Number(nodeVersion.split('.')[0]);
  if (major >= MIN_NODE) return { name, level: 'ok', text: nodeVersion };
  return {
    name,
    level: 'fail',
    text: `${nodeVersion}; at least ${MIN_NODE} is needed`,
    mend: `npm install --global node@${MIN_NODE}`,
  };
}

function checkKernel({ kernel, filesystems, namespaces }: HostFacts): Check {
  const name = 'kernel';
  const [major = 0, minor = 0] = kernel.split('.').map(Number.parseFloat);
  if (major < MIN_KERNEL[0] || (major === MIN_KERNEL[0] && minor < MIN_KERNEL[1])) {
    return {
      name,
      level: 'fail',
      text: `${kernel}; at least ${MIN_KERNEL.join('.')} is needed`,
      mend: 'apt-get install -y linux-image-amd64 && reboot',
    };
  }
  const missing = ['ipc', 'mnt', 'net', 'pid', 'uts'].filter((n) => !namespaces.includes(n));
  if (missing.length > 0) {
    return {
      name,
      level: 'fail',
      text: `${kernel} lacks the namespaces ${missing.join(', ')}`,
      mend: 'use a kernel with CONFIG_NAMESPACES, as distributions build it',
    };
  }
  if (!filesystems.includes('overlay')) {
    return {
      name,
      level: 'warn',
      text: `${kernel}; overlayfs is not loaded, without it images are copied for each container`,
      mend: 'modprobe overlay',
    };
  }
  return { name, level: 'ok', text: `${kernel}, with overlayfs` };
}

function checkCapabilities({ capabilities, uid }: HostFacts): Check {
  const name = 'capabilities';
  const lacking = (of: Map<string, number>): string[] =>
    [...of].filter(([, bit]) => ((capabilities >> BigInt(bit)) & 1n) === 0n).map(([cap]) => cap);
  const needed = lacking(NEEDED);
  const add = (caps: readonly string[]): string =>
    `in a container: docker run --privileged, or ${caps.map((c) => `--cap-add ${c.slice('CAP_'.length)}`).join(' ')}`;
  if (needed.length > 0 && uid !== 0) return { name, level: 'warn', text: 'only root can see which it has' };
  if (needed.length > 0) return { name, level: 'fail', text: `missing: ${needed.join(', ')}`, mend: add(needed) };
  const wanted = lacking(WANTED);
  if (wanted.length === 0) return { name, level: 'ok', text: 'all that are needed' };
  const why = wanted.includes('CAP_SYS_RESOURCE')
    ? '; OOM scores cannot be lowered nor limits raised, pods run all the same'
    : '';
  return { name, level: 'warn', text: `missing: ${wanted.join(', ')}${why}`, mend: add(wanted) };
}

function checkCgroups({ cgroups, uid }: HostFacts): Check {
  const name = 'cgroups';
  const { v1, v2 } = cgroups;
  if (!v2 && v1.length === 0) {
    return { name, level: 'fail', text: 'not mounted', mend: 'mount -t cgroup2 none /sys/fs/cgroup' };
  }
  const mode = v1.length === 0 ? 'v2' : v2 ? 'hybrid (v1 and v2)' : 'v1';
  const usable = new Set([...v1.map((c) => c.controller), ...(v2?.controllers ?? [])]);
  const missing = ['memory', 'cpu', 'pids'].filter((c) => !usable.has(c));
  if (missing.includes('memory') || missing.includes('cpu')) {
    const mend = missing.includes('memory')
      ? 'boot with the kernel parameters cgroup_enable=memory swapaccount=1'
      : 'mount the controllers, or boot with systemd.unified_cgroup_hierarchy=1';
    return { name, level: 'fail', text: `${mode}, without the controllers ${missing.join(', ')}`, mend };
  }
  const readOnly = v1.length === 0 ? v2?.writable === false : v1.some((c) => !c.writable);
  // Nobody else can write to them, however they are mounted.
  if (readOnly && uid === 0) {
    return {
      name,
      level: 'fail',
      text: `${mode}, mounted read-only`,
      mend: 'in a container: docker run --privileged --cgroupns=private',
    };
  }
  if (missing.length > 0) {
    return {
      name,
      level: 'warn',
      text: `${mode}, without the controller ${missing.join(', ')}: limits on processes do not hold`,
      mend: 'mount the controller',
    };
  }
  return { name, level: 'ok', text: mode };
}

function checkPrograms({ programs }: HostFacts): Check[] {
  const check = (name: string, version: string | undefined, pkg: string): Check =>
    version === undefined
      ? { name, level: 'fail', text: 'not found', mend: `apt-get install -y ${pkg}` }
      : { name, level: 'ok', text: version };
  const containerd = programs.shim === undefined && programs.containerd !== undefined ? undefined : programs.containerd;
  return [
    {
      ...check('containerd', containerd, 'containerd'),
      ...(containerd === undefined && programs.containerd
        ? { text: 'found, but not its containerd-shim-runc-v2' }
        : {}),
    },
    check('runc', programs.runc, 'runc'),
    check('ip', programs.ip, 'iproute2'),
    check('mount', programs.mount, 'mount'),
  ];
}

function checkCni({ cniDir }: HostFacts): Check {
  const name = 'CNI plugins';
  return cniDir !== undefined
    ? { name, level: 'ok', text: cniDir }
    : {
        name,
        level: 'fail',
        text: 'bridge, host-local and loopback are not all there',
        mend: 'apt-get install -y containernetworking-plugins',
      };
}

function checkNft({ programs, nftError }: HostFacts): Check {
  const name = 'nftables';
  if (programs.nft === undefined)
    return { name, level: 'fail', text: 'nft not found', mend: 'apt-get install -y nftables' };
  if (nftError === undefined) return { name, level: 'ok', text: programs.nft };
  const mend = /permitted|root/.test(nftError)
    ? 'run as root with CAP_NET_ADMIN'
    : 'modprobe -a nf_tables nft_chain_nat nft_masq';
  return { name, level: 'fail', text: `nft does not work: ${nftError}`, mend };
}

function checkFirewall({ firewall }: HostFacts): Check[] {
  const name = 'firewall';
  if (!firewall) return [];
  if (firewall.length === 0) return [{ name, level: 'ok', text: 'no chain drops by default' }];
  return firewall.map((warning) => ({ name, level: 'warn', ...warning }));
}

function checkForwarding({ ipForward }: HostFacts): Check {
  const name = 'IP forwarding';
  if (ipForward === undefined) return { name, level: 'warn', text: 'could not be found out' };
  if (ipForward) return { name, level: 'ok', text: 'on' };
  // The agent turns it on by itself; where it may not, it says so.
  return { name, level: 'warn', text: 'off; kubelette up turns it on', mend: 'sysctl -w net.ipv4.ip_forward=1' };
}

function checkResolver({ resolvConf }: HostFacts): Check {
  const name = 'resolver';
  if (!resolvConf)
    return {
      name,
      level: 'warn',
      text: 'there is no /etc/resolv.conf: pods cannot resolve names',
      mend: 'kubelette up --resolv-conf FILE',
    };
  const { path, nameservers } = resolvConf;
  if (nameservers.length === 0)
    return { name, level: 'warn', text: `${path} names no server`, mend: 'kubelette up --resolv-conf FILE' };
  if (nameservers.every((ip) => ip.startsWith('127.') || ip === '::1')) {
    return {
      name,
      level: 'warn',
      text: `${path} names ${nameservers.join(', ')} only, which is another place in a pod`,
      mend: 'kubelette up --resolv-conf /run/systemd/resolve/resolv.conf',
    };
  }
  return { name, level: 'ok', text: nameservers.join(', ') };
}

function checkPort({ port, instances }: HostFacts): Check {
  const name = 'API port';
  if (port.error === undefined) return { name, level: 'ok', text: `${port.number} is free` };
  const own = instances?.find((i) => i.server.endsWith(`:${port.number}`));
  if (own?.own) return { name, level: 'ok', text: `${port.number}, used by the agent that runs (process ${own.pid})` };
  const stranger = instances ? 'another program' : 'an agent or another program';
  const who = own ? `the agent of ${own.rootDir ?? own.id}` : stranger;
  return {
    name,
    level: 'fail',
    text: `${port.number}: ${port.error}, ${who} may use it`,
    mend: 'kubelette up --port 0',
  };
}

function checkDisk({ disk }: HostFacts): Check {
  const name = 'disk';
  const free = `${(disk.freeBytes / GIB).toFixed(1)} GiB free of ${(disk.totalBytes / GIB).toFixed(1)} on ${disk.path}`;
  const mend = `df -h ${disk.path}; then free some, or kubelette up --root-dir DIR`;
  if (disk.freeInodes >= 0 && disk.freeInodes < 10_000)
    return { name, level: 'warn', text: `${disk.freeInodes} inodes left on ${disk.path}`, mend };
  if (disk.freeBytes < GIB / 4) return { name, level: 'fail', text: free, mend };
  return disk.freeBytes < 2 * GIB
    ? { name, level: 'warn', text: `${free}: few images fit`, mend }
    : { name, level: 'ok', text: free };
}

function checkInstances({ instances, rootDir, isDefaultRootDir }: HostFacts): Check {
  const name = 'agents';
  if (!instances) return { name, level: 'warn', text: 'only root can see which run' };
  if (instances.length === 0) return { name, level: 'ok', text: 'none runs' };
  const own = instances.find((i) => i.own);
  const others = instances.filter((i) => !i.own).map((i) => `${i.rootDir ?? i.id} (process ${i.pid})`);
  const parts = [
    own
      ? `one runs for ${rootDir} (process ${own.pid})`
      : `none runs for ${rootDir}${isDefaultRootDir ? '' : ' (--root-dir)'}`,
    ...(others.length > 0 ? [`others: ${others.join(', ')}`] : []),
  ];
  return { name, level: 'ok', text: parts.join('; ') };
}
