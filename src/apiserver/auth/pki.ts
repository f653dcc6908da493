import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UserError } from '../../lib/errors.ts';
import { CertificateAuthority, isUsable, type KeyPair, type Subject } from './certificates.ts';

const CA: Subject = { commonName: 'kubelette-ca' };
/** The user in the kubeconfig. The group may do everything. */
export const ADMIN: Subject = { commonName: 'kubelette-admin', organizations: ['system:masters'] };
/** How the API server shows itself to the kubelet. */
const KUBELET_CLIENT: Subject = { commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] };

/** The certificates of one instance. */
export interface Pki {
  readonly ca: CertificateAuthority;
  readonly server: KeyPair;
  readonly admin: KeyPair;
  readonly kubeletClient: KeyPair;
}

/**
 * Reads the certificates that an earlier start left in `dir`, and makes those that lack or cannot be used any more, so that a
 * kubeconfig stays good. Files are 0600, the directory 0700.
 * @param serverNames names and addresses under which the API server is reached
 * @param now wall time, ms since the epoch
 * @throws UserError when the directory cannot be written
 */
export function loadPki(dir: string, serverNames: readonly string[], now: number): Pki {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    const keptCa = readPair(dir, 'ca');
    const ca = keptCa && isUsable(keptCa, keptCa.cert, [], now) ? new CertificateAuthority(keptCa, CA) : undefined;
    const authority = ca ?? CertificateAuthority.create(CA, now);
    if (!ca) writePair(dir, 'ca', authority);
    const pair = (name: string, names: readonly string[], issue: () => KeyPair): KeyPair => {
      const kept = readPair(dir, name);
      if (kept && isUsable(kept, authority.cert, names, now)) return kept;
      const made = issue();
      writePair(dir, name, made);
      return made;
    };
    return {
      ca: authority,
      server: pair('apiserver', serverNames, () => authority.issueServer('kube-apiserver', serverNames, now)),
      admin: pair('admin', [], () => authority.issueClient(ADMIN, now)),
      kubeletClient: pair('apiserver-kubelet-client', [], () => authority.issueClient(KUBELET_CLIENT, now)),
    };
  } catch (error) {
    throw new UserError(`cannot keep certificates in ${dir}: ${messageOf(error)}`, { cause: error });
  }
}

function readPair(dir: string, name: string): KeyPair | undefined {
  try {
    return {
      cert: readFileSync(join(dir, `${name}.crt`), 'utf8'),
      key: readFileSync(join(dir, `${name}.key`), 'utf8'),
    };
  } catch {
    return undefined;
  }
}

function writePair(dir: string, name: string, { cert, key }: KeyPair): void {
  writePrivate(join(dir, `${name}.key`), key);
  writePrivate(join(dir, `${name}.crt`), cert);
}

/** Writes a file that only its owner reads; whoever reads it meanwhile sees the old or the new one, whole. */
export function writePrivate(path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
