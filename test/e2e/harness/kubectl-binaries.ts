import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

export interface KubectlBinary {
  readonly path: string;
  /** Such as `1.32`. */
  readonly version: string;
}

const OLDEST = 27;

/**
 * The kubectls of this machine that are new enough, oldest first: those named `kubectl.1.NN` beside the one on the PATH (the Google
 * Cloud SDK has such a set, and makes `kubectl` choose among them), or that one alone. Empty when there is none to test with.
 */
export function kubectlBinaries(): KubectlBinary[] {
  const onPath = process.env
    .PATH!.split(delimiter)
    .map((directory) => join(directory, 'kubectl'))
    .find((file) => existsSync(file));
  if (onPath === undefined) return [];
  const directory = dirname(realpathSync(onPath));
  const siblings = readdirSync(directory).flatMap((name) => {
    const version = /^kubectl\.(1\.\d+)$/.exec(name)?.[1];
    return version ? [{ path: join(directory, name), version }] : [];
  });
  const found = siblings.length > 0 ? siblings : [{ path: onPath, version: versionOf(onPath) }];
  return found.filter((k) => minor(k) >= OLDEST).sort((a, b) => minor(a) - minor(b));
}

const minor = (kubectl: KubectlBinary): number => Number(kubectl.version.split('.')[1]);

function versionOf(path: string): string {
  try {
    const text = execFileSync(path, ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
    const { clientVersion } = JSON.parse(text) as { clientVersion: { major: string; minor: string } };
    return `${clientVersion.major}.${clientVersion.minor.replace(/\D.*/, '')}`;
  } catch {
    return '0.0';
  }
}
