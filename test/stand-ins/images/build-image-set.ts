import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRegistry } from '../registry-process.ts';
import { unpackAlone } from './debian-packages.ts';
import { pushImage } from './oci-image.ts';
import { makeImages } from './recipes.ts';
import { runCommand } from './run-command.ts';
import { makeWordPressImages } from './wordpress/recipes.ts';

const here = dirname(fileURLToPath(import.meta.url));
const cache = join(here, '../../../.cache/stand-ins');

export interface ImageSet {
  readonly directory: string;
  /** The docker-registry program. */
  readonly registryProgram: string;
  /** Its storage, with all images pushed. */
  readonly storage: string;
}

/** The set that every test needs, and one with the images of examples/wordpress as well, which are large. */
export type ImageSetName = 'base' | 'wordpress';

/** The stand-in images, from the cache or made now (a minute or two; needs Debian's archive in reach). */
export async function buildImageSet(
  onProgress: (text: string) => void,
  name: ImageSetName = 'base',
): Promise<ImageSet> {
  const directory = join(cache, `${name}-${recipeHash(name)}`);
  if (existsSync(directory)) return imageSetIn(directory);
  const base = name === 'base' ? undefined : await buildImageSet(onProgress);
  onProgress(`making the stand-in images (${name}) from Debian packages, only this once ...`);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'work-'));
  try {
    const result = join(work, 'result');
    // Links are as good as copies: what a registry has stored it never changes.
    if (base) await runCommand('cp', ['--archive', '--link', base.directory, result]);
    else await unpackAlone(['docker-registry'], result, join(work, 'registry.debs'));
    const images = join(work, 'images');
    await mkdir(images);
    const made = await (base ? makeWordPressImages(images) : makeImages(images));
    const set = imageSetIn(result);
    const registry = await startRegistry(set.registryProgram, set.storage, work, false);
    try {
      for (const image of made) await pushImage(registry.url, image);
    } finally {
      await registry.stop();
    }
    // Complete or not there at all; when somebody else was faster, theirs is as good.
    await rename(result, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return imageSetIn(directory);
}

const imageSetIn = (directory: string): ImageSet => ({
  directory,
  registryProgram: join(directory, 'usr/bin/docker-registry'),
  storage: join(directory, 'storage'),
});

/** Of all that decides what the images contain: these sources, the platform, and the Node that goes into one of them. */
function recipeHash(name: ImageSetName): string {
  const hash = createHash('sha256').update(
    `${process.arch} ${process.version} ${readFileSync('/etc/os-release', 'utf8')}`,
  );
  for (const directory of name === 'base' ? [here] : [here, join(here, name)]) {
    const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
    for (const file of files.map((entry) => entry.name).sort()) {
      hash.update(file).update(readFileSync(join(directory, file)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}
