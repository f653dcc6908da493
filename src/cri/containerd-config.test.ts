import { expect, it } from 'vitest';
import { containerdConfig, mirrorHostsToml } from './containerd-config.ts';

const INPUT = {
  root: '/var/lib/kubelette/containerd',
  state: '/run/kubelette/kubelette/containerd',
  socket: '/run/kubelette/kubelette/containerd.sock',
  cgroup: '/kubelette/kubelette/containerd',
  runc: '/usr/sbin/runc',
  registryConfigDir: '/run/kubelette/kubelette/registries',
  cniBinDir: '/usr/lib/cni',
  cniConfDir: '/run/kubelette/kubelette/cni',
  pauseImage: 'registry.k8s.io/pause:3.10',
  snapshotter: 'overlayfs',
  mayLowerOomScore: true,
} as const;

it('asks for a lower oom score only where that is allowed', () => {
  const allowed = containerdConfig(INPUT);
  expect(allowed).toContain('oom_score = -999');
  expect(allowed).toContain('restrict_oom_score_adj = false');
  const forbidden = containerdConfig({ ...INPUT, mayLowerOomScore: false });
  expect(forbidden).not.toContain('oom_score = ');
  expect(forbidden).toContain('restrict_oom_score_adj = true');
});

it('writes top-level keys before the first table, where alone they are top-level', () => {
  const lines = containerdConfig(INPUT).split('\n');
  const firstTable = lines.findIndex((line) => line.startsWith('['));
  for (const key of ['version', 'root', 'state', 'required_plugins', 'disabled_plugins', 'oom_score']) {
    const at = lines.findIndex((line) => line.startsWith(`${key} = `));
    expect([key, at >= 0 && at < firstTable]).toEqual([key, true]);
  }
});

it('quotes what it is given', () => {
  expect(containerdConfig({ ...INPUT, root: '/a "b"\\c' })).toContain('root = "/a \\"b\\"\\\\c"');
  expect(mirrorHostsToml('http://127.0.0.1:5000')).toContain('[host."http://127.0.0.1:5000"]\ncapabilities');
});
