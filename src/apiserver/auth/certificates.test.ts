import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { CertificateAuthority, isUsable } from './certificates.ts';

const NOW = Date.now();
const ca = CertificateAuthority.create({ commonName: 'kubelette-ca' }, NOW);

test('the authority signs itself', () => {
  const cert = new X509Certificate(ca.cert);
  expect(cert.ca).toBe(true);
  expect(cert.subject).toBe('CN=kubelette-ca');
  expect(cert.verify(cert.publicKey)).toBe(true);
  expect(cert.checkIssued(cert)).toBe(true);
});

test('an authority that was read back signs for the same name', () => {
  const again = new CertificateAuthority(ca, { commonName: 'kubelette-ca' });
  const { cert } = again.issueClient({ commonName: 'x' }, NOW);
  expect(new X509Certificate(cert).checkIssued(new X509Certificate(ca.cert))).toBe(true);
});

test('a server certificate names every host and address', () => {
  const { cert } = ca.issueServer('node', ['localhost', '127.0.0.1', 'fd00::1:2', '::1'], NOW);
  const x509 = new X509Certificate(cert);
  expect(x509.checkHost('localhost')).toBe('localhost');
  expect(x509.checkHost('example.com')).toBeUndefined();
  expect(x509.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(x509.checkIP('fd00::1:2')).toBe('fd00::1:2');
  expect(x509.checkIP('::1')).toBe('::1');
  expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
});

test('usable: same authority, all names, time left', () => {
  const pair = ca.issueServer('node', ['localhost', '127.0.0.1'], NOW);
  expect(isUsable(pair, ca.cert, ['localhost', '127.0.0.1'], NOW)).toBe(true);
  expect(isUsable(pair, ca.cert, ['localhost', '10.0.0.1'], NOW)).toBe(false);
  expect(isUsable(pair, ca.cert, [], NOW + 3650 * 24 * 3600 * 1000)).toBe(false);
  expect(isUsable(pair, CertificateAuthority.create({ commonName: 'other' }, NOW).cert, [], NOW)).toBe(false);
  expect(isUsable({ cert: 'rubbish', key: '' }, ca.cert, [], NOW)).toBe(false);
});

test('mutual TLS: the client shows its groups', async () => {
  const server = createServer({
    ...ca.issueServer('server', ['127.0.0.1'], NOW),
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ca: ca.cert,
    ...ca.issueClient({ commonName: 'admin', organizations: ['system:masters', 'b'] }, NOW),
  });
  const [socket] = await accepted;
  const { subject } = socket.getPeerCertificate();
  expect(subject).toEqual({ O: ['system:masters', 'b'], CN: 'admin' });
  client.destroy();
  server.close();
});
