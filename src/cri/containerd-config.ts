/** What a private containerd's configuration depends on: the instance's paths and facts about this host. */
export interface ContainerdConfigInput {
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  /** cgroupfs path that containerd itself moves to, out of whatever started it. */
  readonly cgroup: string;
  readonly runc: string;
  /** Directory with one hosts.toml per registry. */
  readonly registryConfigDir: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly pauseImage: string;
  readonly snapshotter: 'overlayfs' | 'native';
  /** Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and asking for it fails every sandbox. */
  readonly mayLowerOomScore: boolean;
}

/** What CRI can do without. Each costs start-up time, complains about this host, or offers what nobody uses. */
const DISABLED_PLUGINS = [
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.monitor.v1.cgroups',
];

/** config.toml, version 2, as containerd 1.6 and later read it. Pure. */
export function containerdConfig(input: ContainerdConfigInput): string {
  // A JSON string is a TOML string as well.
  const text = JSON.stringify;
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `# Written by kubelette at every start; changes are lost.
version = 2
root = ${text(input.root)}
state = ${text(input.state)}
required_plugins = ["io.containerd.grpc.v1.cri"]
disabled_plugins = ${text(DISABLED_PLUGINS)}
${input.mayLowerOomScore ? 'oom_score = -999\n' : ''}
[debug]
level = "warn"

[grpc]
address = ${text(input.socket)}

[cgroup]
path = ${text(input.cgroup)}

[${cri}]
sandbox_image = ${text(input.pauseImage)}
restrict_oom_score_adj = ${!input.mayLowerOomScore}
netns_mounts_under_state_dir = true

[${cri}.cni]
bin_dir = ${text(input.cniBinDir)}
conf_dir = ${text(input.cniConfDir)}

[${cri}.registry]
config_path = ${text(input.registryConfigDir)}

[${cri}.containerd]
snapshotter = ${text(input.snapshotter)}
default_runtime_name = "runc"

[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[${cri}.containerd.runtimes.runc.options]
BinaryName = ${text(input.runc)}
Root = ${text(`${input.state}/runc`)}
SystemdCgroup = false
`;
}

/**
 * The hosts.toml that sends pulls of every registry to `mirror` first (an http or https URL); what the mirror does not have is
 * asked of the registry itself. Goes into the directory `_default`. Pure.
 */
export function mirrorHostsToml(mirror: string): string {
  return `# Written by kubelette at every start; changes are lost.
[host.${JSON.stringify(mirror)}]
capabilities = ["pull", "resolve"]
`;
}
