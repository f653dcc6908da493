import { appendFile, chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './run-command.ts';

/**
 * Lays a file system out of Debian packages, without installing anything on this machine: downloads the packages and all they
 * depend on from the machine's own apt sources and unpacks them. Maintainer scripts do not run.
 * @param root an existing empty directory
 * @param work a directory for the downloads
 */
export async function unpackWithDependencies(packages: readonly string[], root: string, work: string): Promise<void> {
  const archives = join(work, 'archives');
  await mkdir(join(archives, 'partial'), { recursive: true });
  // An empty status file: to apt, nothing is installed, so that it fetches every dependency.
  await writeFile(join(work, 'status'), '');
  const args = ['-qq', '-y', '--download-only', '--no-install-recommends'];
  const options = {
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache::archives': archives,
    'APT::Sandbox::User': 'root',
    'Debug::NoLocking': 'true',
  };
  await withFreshLists(() =>
    runCommand('apt-get', [
      ...args,
      ...Object.entries(options).flatMap(([k, v]) => ['-o', `${k}=${v}`]),
      'install',
      ...packages,
    ]),
  );
  // Debian 12 merges /bin, /sbin and /lib into /usr; the packages of that release still name the old paths.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  for (const file of (await readdir(archives)).filter((f) => f.endsWith('.deb')).sort()) {
    await unpack(join(archives, file), root);
  }
}

/** What everybody expects of a Debian system when they look into a container. */
export const BASE_PACKAGES = [
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'findutils'],
  ...['grep', 'libc-bin', 'procps', 'sed'],
] as const;

/**
 * Does what the packages' maintainer scripts would have done, and removes what nobody needs in a container: texts, and Perl, which comes
 * along for those scripts.
 * @param users more of them, as `NAME:ID`
 */
export async function finishDebianRoot(root: string, users: readonly string[] = []): Promise<void> {
  const unused = 'usr/share/{doc,info,lintian,locale,man,perl*} usr/lib/*/{gconv,perl*,libperl*} usr/bin/*perl*';
  await runCommand('bash', ['-ec', `cd "$1"; rm -rf ${unused}`, 'bash', root]);
  for (const name of ['passwd', 'group']) {
    await copyFile(join(root, `usr/share/base-passwd/${name}.master`), join(root, `etc/${name}`));
  }
  for (const [name, id] of users.map((user) => user.split(':'))) {
    await appendFile(join(root, 'etc/passwd'), `${name}:x:${id}:${id}::/nonexistent:/bin/false\n`);
    await appendFile(join(root, 'etc/group'), `${name}:x:${id}:\n`);
  }
  await symlink('bash', join(root, 'usr/bin/sh')).catch(() => {});
  await chmod(join(root, 'tmp'), 0o1777);
}

/** Downloads these packages alone and unpacks them over `root`; both directories are made. */
export async function unpackAlone(packages: readonly string[], root: string, work: string): Promise<void> {
  for (const directory of [root, work]) await mkdir(directory, { recursive: true });
  await withFreshLists(() =>
    runCommand('sh', [
      '-ec',
      'cd "$1"; shift; apt-get -qq -o APT::Sandbox::User=root download "$@"',
      'sh',
      work,
      ...packages,
    ]),
  );
  for (const file of (await readdir(work)).filter((f) => f.endsWith('.deb'))) await unpack(join(work, file), root);
}

async function unpack(deb: string, root: string): Promise<void> {
  await runCommand('sh', [
    '-ec',
    'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
    'sh',
    deb,
    root,
  ]);
}

/** Tries again after `apt-get update`: the lists may be missing, or name versions that the archive no longer has. */
async function withFreshLists(fetch: () => Promise<unknown>): Promise<void> {
  try {
    await fetch();
  } catch {
    await runCommand('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', 'update']);
    await fetch();
  }
}
