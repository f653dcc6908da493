import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import * as der from './der.ts';

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  /** Kubernetes reads them as the user's groups. */
  readonly organizations?: readonly string[];
}

type Purpose = { readonly server: readonly string[] } | 'client' | 'ca';

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const DAY_MS = 24 * 3600 * 1000;
/** Nobody renews certificates of a node on a laptop; they live as long as the machine. */
const LIFETIME_MS = 3650 * DAY_MS;
/** Clocks differ a little. */
const BACKDATE_MS = 3600 * 1000;

/** A certificate authority of our own: ECDSA P-256, self-signed. */
export class CertificateAuthority {
  readonly cert: string;
  readonly key: string;
  private readonly privateKey: KeyObject;
  private readonly name: Buffer;
  private readonly keyId: Buffer;

  /** From a pair that `create` made. */
  constructor({ cert, key }: KeyPair, subject: Subject) {
    this.cert = cert;
    this.key = key;
    this.privateKey = createPrivateKey(key);
    this.name = distinguishedName(subject);
    this.keyId = keyIdOf(createPublicKey(this.privateKey));
  }

  /** @param now wall time, ms since the epoch */
  static create(subject: Subject, now: number): CertificateAuthority {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const name = distinguishedName(subject);
    const cert = certificate({
      issuer: name,
      issuerKey: privateKey,
      issuerKeyId: keyIdOf(publicKey),
      subject: name,
      publicKey,
      purpose: 'ca',
      now,
    });
    return new CertificateAuthority({ cert, key: pem(privateKey) }, subject);
  }

  /** For a client; `organizations` are its groups. */
  issueClient(subject: Subject, now: number): KeyPair {
    return this.issue(subject, 'client', now);
  }

  /** For a server that is reached under these names and addresses. */
  issueServer(commonName: string, namesAndIPs: readonly string[], now: number): KeyPair {
    return this.issue({ commonName }, { server: namesAndIPs }, now);
  }

  private issue(subject: Subject, purpose: Purpose, now: number): KeyPair {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = certificate({
      issuer: this.name,
      issuerKey: this.privateKey,
      issuerKeyId: this.keyId,
      subject: distinguishedName(subject),
      publicKey,
      purpose,
      now,
    });
    return { cert, key: pem(privateKey) };
  }
}

/** Whether a certificate can still be used: signed by this authority, a week left, and good for all these names and addresses. */
export function isUsable(pair: KeyPair, ca: string, namesAndIPs: readonly string[], now: number): boolean {
  try {
    const cert = new X509Certificate(pair.cert);
    const names = namesAndIPs.every((name) => (isIP(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined);
    return names && cert.verify(new X509Certificate(ca).publicKey) && Date.parse(cert.validTo) - now > 7 * DAY_MS;
  } catch {
    return false;
  }
}

interface Request {
  readonly issuer: Buffer;
  readonly issuerKey: KeyObject;
  readonly issuerKeyId: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly purpose: Purpose;
  readonly now: number;
}

/** An X.509 v3 certificate (RFC 5280), PEM. */
function certificate({ issuer, issuerKey, issuerKeyId, subject, publicKey, purpose, now }: Request): string {
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial[0]! &= 0x7f;
  const body = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    der.integer(serial),
    algorithm,
    issuer,
    der.sequence(der.time(now - BACKDATE_MS), der.time(now + LIFETIME_MS)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions(purpose, keyIdOf(publicKey), issuerKeyId))),
  );
  const signature = sign('sha256', body, issuerKey);
  const whole = der.sequence(body, algorithm, der.bitString(signature)).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${whole.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function extensions(purpose: Purpose, keyId: Buffer, issuerKeyId: Buffer): Buffer[] {
  const extension = (oid: string, critical: boolean, value: Buffer): Buffer =>
    der.sequence(der.objectIdentifier(oid), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
  const found = [
    extension(OID.basicConstraints, true, purpose === 'ca' ? der.sequence(der.boolean(true)) : der.sequence()),
    // keyCertSign and digitalSignature, or digitalSignature alone.
    extension(
      OID.keyUsage,
      true,
      purpose === 'ca' ? der.bitString(Buffer.from([0x84]), 2) : der.bitString(Buffer.from([0x80]), 7),
    ),
    extension(OID.subjectKeyIdentifier, false, der.octetString(keyId)),
    extension(OID.authorityKeyIdentifier, false, der.sequence(der.implicit(0, issuerKeyId))),
  ];
  if (purpose === 'ca') return found;
  const usage = purpose === 'client' ? OID.clientAuth : OID.serverAuth;
  found.push(extension(OID.extendedKeyUsage, false, der.sequence(der.objectIdentifier(usage))));
  if (purpose !== 'client') {
    const names = purpose.server.map((name) =>
      isIP(name) ? der.implicit(7, addressBytes(name)) : der.implicit(2, Buffer.from(name, 'ascii')),
    );
    found.push(extension(OID.subjectAltName, false, der.sequence(...names)));
  }
  return found;
}

function distinguishedName({ commonName, organizations = [] }: Subject): Buffer {
  const part = (oid: string, text: string): Buffer =>
    der.set(der.sequence(der.objectIdentifier(oid), der.utf8String(text)));
  return der.sequence(...organizations.map((o) => part(OID.organization, o)), part(OID.commonName, commonName));
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** The bytes of an IPv4 or IPv6 address. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return Buffer.from([...front, ...zeros, ...back].map((g) => g.padStart(4, '0')).join(''), 'hex');
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}
