import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Writes an OCI archive with one image made of the host's static busybox, under several names: for tests of a runtime that has no
 * registry in reach. As `pause` it works too: the command is given by absolute path, since a sandbox has no default PATH.
 * @returns the archive's path, in a directory of its own that the caller removes
 */
export async function writeBusyboxArchive(names: readonly string[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'busybox-image-'));
  const root = join(dir, 'root');
  const layout = join(dir, 'layout');
  await mkdir(join(root, 'bin'), { recursive: true });
  await mkdir(join(root, 'tmp'));
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of ['sh', 'sleep', 'true', 'false', 'cat', 'echo', 'ls', 'wget', 'nc', 'ip', 'kill']) {
    await symlink('busybox', join(root, 'bin', applet));
  }
  await run('tar', ['-C', root, '-cf', join(dir, 'layer.tar'), '.']);

  const blob = async (content: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    await writeFile(join(layout, 'blobs/sha256', hex), content);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size: content.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const layer = await blob(await readFile(join(dir, 'layer.tar')), 'layer.v1.tar');
  const config = await blob(
    json({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: {
        Env: ['PATH=/bin'],
        Cmd: ['/bin/busybox', 'sh', '-c', 'trap exit TERM INT; while :; do sleep 100000 & wait $!; done'],
      },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
    'config.v1+json',
  );
  const manifest = await blob(json({ schemaVersion: 2, config, layers: [layer] }), 'manifest.v1+json');
  const manifests = names.map((name) => ({ ...manifest, annotations: { 'io.containerd.image.name': name } }));
  await writeFile(join(layout, 'index.json'), json({ schemaVersion: 2, manifests }));
  await writeFile(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  const archive = join(dir, 'image.tar');
  await run('tar', ['-C', layout, '-cf', archive, '.']);
  await Promise.all([root, layout, join(dir, 'layer.tar')].map((path) => rm(path, { recursive: true })));
  await stat(archive);
  return archive;
}
