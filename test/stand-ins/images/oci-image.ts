import { createHash } from 'node:crypto';
import { createReadStream, openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { runCommand } from './run-command.ts';

/** Of everything in the images, so that the same packages give the same digests. */
const CREATED = '2026-01-01T00:00:00Z';
/** Of every image's environment. */
export const IMAGE_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MEDIA_TYPE = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

export interface Layer {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
}

/** What `docker inspect` shows as Config. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly StopSignal?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
}

export interface Image {
  /** As in the registry, such as `library/nginx`. */
  readonly repository: string;
  readonly tags: readonly string[];
  readonly layers: readonly Layer[];
  readonly config: ImageConfig;
}

/** Packs a directory as an image layer. Not compressed: it only travels over loopback. */
export async function packLayer(directory: string, file: string): Promise<Layer> {
  const fixed = ['--sort=name', `--mtime=${CREATED}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  await runCommand('tar', [...fixed, '-C', directory, '-cf', file, '.']);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return { file, digest: `sha256:${hash.digest('hex')}`, size: (await stat(file)).size };
}

/** Pushes an image and its tags to a registry, such as `http://127.0.0.1:5000`. */
export async function pushImage(registry: string, image: Image): Promise<void> {
  const config = JSON.stringify({
    created: CREATED,
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: image.layers.map((l) => l.digest) },
  });
  const configDigest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  for (const layer of image.layers) {
    await pushBlob(registry, image.repository, layer.digest, await openAsBlob(layer.file));
  }
  await pushBlob(registry, image.repository, configDigest, new Blob([config]));
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: { mediaType: MEDIA_TYPE.config, digest: configDigest, size: Buffer.byteLength(config) },
    layers: image.layers.map(({ digest, size }) => ({ mediaType: MEDIA_TYPE.layer, digest, size })),
  });
  for (const tag of image.tags) {
    const headers = { 'content-type': MEDIA_TYPE.manifest };
    await expectOk(
      await fetch(`${registry}/v2/${image.repository}/manifests/${tag}`, { method: 'PUT', headers, body: manifest }),
    );
  }
}

async function pushBlob(registry: string, repository: string, digest: string, content: Blob): Promise<void> {
  const started = await expectOk(await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: 'POST' }));
  const upload = new URL(started.headers.get('location')!, registry);
  upload.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream' };
  await expectOk(await fetch(upload, { method: 'PUT', headers, body: content }));
}

async function expectOk(response: Response): Promise<Response> {
  if (!response.ok)
    throw new Error(`The registry answered ${response.status} to ${response.url}: ${await response.text()}`);
  return response;
}
