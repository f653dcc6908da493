import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { assert, errnoOf, messageOf, UserError } from '../lib/errors.ts';
import { parseCidr } from '../lib/ipv4.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import type { Random } from '../lib/random.ts';
import type { KeyPair } from './auth/certificates.ts';
import { loadPki } from './auth/pki.ts';
import { ApiHandler } from './handlers/api-handler.ts';
import { KubeletProxy } from './handlers/kubelet-proxy.ts';
import { PodStreams } from './handlers/pod-streams.ts';
import { ResourceHandler } from './handlers/resource-handler.ts';
import { LocalKubeClient } from './local-kube-client.ts';
import { ClusterAdmission } from './registry/cluster-admission.ts';
import { EventExpiry } from './registry/event-expiry.ts';
import { Registry } from './registry/registry.ts';
import { ResourceRequests } from './registry/resource-requests.ts';
import { ObjectStore } from './storage/object-store.ts';

export interface ApiServerOptions {
  /** SQLite file. */
  readonly database: string;
  /** Where certificates are kept. */
  readonly pkiDir: string;
  /** On 127.0.0.1; 0 for any that is free. */
  readonly port: number;
  /** Where the kubelets' servers listen, when that is not their node's address: the embedded one keeps to loopback. */
  readonly kubeletHost?: string;
  /** Where Services have their addresses, such as 10.96.0.0/16. */
  readonly serviceCIDR?: string;
  /** Names and addresses besides loopback under which clients reach it. */
  readonly serverNames?: readonly string[];
  /** Ports of this machine that must not become node ports unless somebody asks for them. */
  readonly portsInUse?: () => ReadonlySet<number>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of pods' beginnings and ends. */
  readonly traces?: PodTraces | undefined;
}

export interface ApiServer {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** PEM of the authority that signed everybody; also clients of the kubelet's server show certificates of it. */
  readonly ca: string;
  /** In process. */
  readonly client: KubeClient;
  /** The administrator's, as a context for `writeKubeconfig`. */
  readonly admin: { readonly server: string; readonly ca: string; readonly cert: string; readonly key: string };
  /** A certificate for a server that the API server calls, such as the kubelet's; name the node among `namesAndIPs`. */
  issueServingCert(commonName: string, namesAndIPs: readonly string[]): KeyPair;
  /** Listens on the same port of one more of the host's addresses, until `close`. @throws the system's error */
  listenAt(address: string): Promise<void>;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const DEFAULT_SERVICE_CIDR = '10.96.0.0/16';
const SERVER_NAMES = [HOST, '::1', 'localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
/** Longer than Go's clients keep an idle connection (90 s), so that none meets a closed one. */
const KEEP_ALIVE_MS = 100_000;

/**
 * Starts the embedded API server.
 * @throws UserError when the port is taken, the database is in use, or the directory cannot be written; nothing is left open then
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, random, logger } = options;
  const serviceRange = parseCidr(options.serviceCIDR ?? DEFAULT_SERVICE_CIDR);
  assert(serviceRange, `${options.serviceCIDR} is a network`);
  const pki = loadPki(options.pkiDir, [...SERVER_NAMES, ...(options.serverNames ?? [])], clock.now());
  const store = new ObjectStore(options.database, clock);
  let admission!: ClusterAdmission;
  const registry = new Registry(store, clock, random, (self) => {
    const portsInUse = options.portsInUse ?? (() => new Set<number>());
    admission = new ClusterAdmission(self, { caCertificate: pki.ca.cert, serviceRange, random, portsInUse });
    return admission;
  });
  const requests = new ResourceRequests(registry, admission, clock, options.traces);
  const proxy = new KubeletProxy(pki.kubeletClient, pki.ca.cert);
  const handler = new ApiHandler(
    new ResourceHandler(requests, clock, random),
    new PodStreams(registry, proxy, options.kubeletHost),
    clock,
    logger,
  );
  const server = createServer({
    cert: pki.server.cert,
    key: pki.server.key,
    ca: pki.ca.cert,
    requestCert: true,
    rejectUnauthorized: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
  });
  server.on('request', handler.request);
  server.on('upgrade', handler.upgrade);
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  // Also those that never say a word.
  server.on('connection', onSocket);
  server.on('secureConnection', onSocket);

  try {
    admission.bootstrap();
    await listen(server, options.port, HOST);
  } catch (error) {
    store.close();
    if (errnoOf(error) !== 'EADDRINUSE' && errnoOf(error) !== 'EACCES') throw error;
    const why = errnoOf(error) === 'EACCES' ? 'may not be opened by this user' : 'is in use by another process';
    throw new UserError(`port ${options.port} on ${HOST} ${why}: ${messageOf(error)}`, {
      hint: 'Choose another one with --port.',
      cause: error,
    });
  }
  const expiry = new EventExpiry(registry, clock);
  expiry.start();

  const { port } = server.address() as AddressInfo;
  const url = `https://${HOST}:${port}`;
  const doors: Server[] = [server];
  const admin = { server: url, ca: pki.ca.cert, ...pki.admin };
  return {
    url,
    port,
    ca: pki.ca.cert,
    client: new LocalKubeClient(requests),
    admin,
    issueServingCert: (commonName, names) => pki.ca.issueServer(commonName, names, clock.now()),
    listenAt: async (address) => {
      const door = createTcpServer({ noDelay: true }, (socket) => server.emit('connection', socket));
      await listen(door, port, address);
      doors.push(door);
    },
    async close() {
      expiry.stop();
      proxy.close();
      const closed = doors.map((door) => new Promise<void>((resolve) => door.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
      store.close();
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: an error that comes later, such as no file descriptor for a connection, must not end the process.
    server.on('error', reject);
    server.listen(port, host, resolve);
  });
}
