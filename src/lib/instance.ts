import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/** The root directory when none is given. */
export const DEFAULT_ROOT_DIR = '/var/lib/kubelette';

/**
 * Every name that one instance uses on the host, derived from its root directory alone, so that several instances (and tests)
 * run side by side and each can be removed completely, also by another process after a crash.
 */
export interface InstanceLayout {
  /** Absolute. Durable state: survives a reboot and `down` without `--purge`. */
  readonly rootDir: string;
  /** `kubelette` for the default root directory, otherwise `kl-` and 8 hex digits of its hash. At most 11 characters. */
  readonly id: string;
  /** Volatile state, on the host's `/run`; short, since Unix socket paths end at 107 bytes. */
  readonly runDir: string;
  readonly kubeconfig: string;
  /** What the running agent says about itself (pid, start time, ports), JSON, 0600. */
  readonly agentFile: string;
  readonly agentLog: string;
  /** SQLite database of the API server. */
  readonly database: string;
  /** Certificates and keys, 0700. */
  readonly pkiDir: string;
  /** Per pod UID: volumes, hosts file, termination messages. */
  readonly podsDir: string;
  /** CRI log directories: `NAMESPACE_NAME_UID/CONTAINER/RESTARTS.log`. */
  readonly podLogsDir: string;
  readonly containerd: {
    readonly config: string;
    readonly log: string;
    readonly root: string;
    readonly state: string;
    readonly socket: string;
    readonly pidFile: string;
  };
  readonly cni: {
    readonly confDir: string;
    /** host-local's address leases. */
    readonly ipamDir: string;
  };
  /** The bridge; interface names end at 15 characters. */
  readonly bridge: string;
  /** The one nftables table (family ip) of this instance. */
  readonly nftTable: string;
  /** cgroupfs path under which all pods run, in every hierarchy. */
  readonly cgroupParent: string;
}

/** Derives the layout of the instance that lives in `rootDir` (made absolute; not created). Pure. */
export function instanceLayout(rootDir: string = DEFAULT_ROOT_DIR): InstanceLayout {
  const root = resolve(rootDir);
  const hash = createHash('sha256').update(root).digest('hex');
  const id = root === DEFAULT_ROOT_DIR ? 'kubelette' : `kl-${hash.slice(0, 8)}`;
  const runDir = `/run/kubelette/${id}`;
  return {
    rootDir: root,
    id,
    runDir,
    kubeconfig: join(root, 'kubeconfig'),
    agentFile: join(runDir, 'agent.json'),
    agentLog: join(root, 'agent.log'),
    database: join(root, 'state.db'),
    pkiDir: join(root, 'pki'),
    podsDir: join(root, 'pods'),
    podLogsDir: join(root, 'logs'),
    containerd: {
      config: join(root, 'containerd.toml'),
      log: join(root, 'containerd.log'),
      root: join(root, 'containerd'),
      state: join(runDir, 'containerd'),
      socket: join(runDir, 'containerd.sock'),
      pidFile: join(runDir, 'containerd.pid'),
    },
    cni: { confDir: join(runDir, 'cni'), ipamDir: join(runDir, 'ipam') },
    bridge: id === 'kubelette' ? 'kubelette0' : id,
    nftTable: id,
    cgroupParent: `/kubelette/${id}`,
  };
}
