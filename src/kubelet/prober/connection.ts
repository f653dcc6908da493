import { isIP, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Who a connection is made for. Once it has closed the connection it is told nothing more. */
export interface ConnectionUser {
  connected(): void;
  /** @param text what came next, a character for a byte */
  received(text: string): void;
  /** The peer has ended its side. */
  ended(): void;
  failed(error: Error): void;
}

/** What arrives is read at once, so that one buffer does for all. */
const ARRIVED = Buffer.allocUnsafeSlow(16 * 1024);
const UNVERIFIED = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
const NOBODY: ConnectionUser = { connected() {}, received() {}, ended() {}, failed() {} };

/**
 * Sockets that wait for their next connection. Making one costs more than a check does with it, and V8 keeps each until its next whole
 * collection of garbage: 110 checks a second made 0.5 MB of that. As many are here as were in use at once.
 */
const idle: Connection[] = [];
const MOST_IDLE = 32;

/** A TCP connection, or one of TLS whose peer's certificate is not looked at. */
export class Connection {
  private readonly socket: Socket;
  private user = NOBODY;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('connect', () => this.user.connected());
    socket.on('end', () => this.user.ended());
    // Stays attached: a reset that arrives after the end must not become an uncaught error.
    socket.on('error', (error) => this.user.failed(error));
  }

  /** Connects to a host, by address or name. */
  static open(host: string, port: number, user: ConnectionUser): Connection {
    // The look-up of a name goes on when the socket is closed, and would find it in its next use.
    const connection = isIP(host) === 0 ? Connection.plain(false) : (idle.pop() ?? Connection.plain(true));
    connection.user = user;
    connection.socket.connect({ host, port });
    return connection;
  }

  /** The same with TLS on top. `connected` is told before its handshake. */
  static openSecure(host: string, port: number, user: ConnectionUser): Connection {
    const connection = new Connection(connectTls({ host, port, ...UNVERIFIED }));
    connection.user = user;
    connection.socket.on('data', (bytes: Buffer) => connection.user.received(bytes.toString('latin1')));
    return connection;
  }

  private static plain(isKept: boolean): Connection {
    const callback = (length: number): boolean => {
      connection.user.received(ARRIVED.toString('latin1', 0, length));
      return true;
    };
    const connection = new Connection(new Socket({ onread: { buffer: ARRIVED, callback } }));
    if (isKept) {
      connection.socket.on('close', () => {
        if (idle.length < MOST_IDLE) idle.push(connection);
      });
    }
    return connection;
  }

  /** Our own address, host and port; neither is known before it is connected, nor after it broke. */
  get local(): { readonly host: string | undefined; readonly port: number | undefined } {
    return { host: this.socket.localAddress, port: this.socket.localPort };
  }

  write(text: string): void {
    this.socket.write(text);
  }

  close(): void {
    this.user = NOBODY;
    this.socket.destroy();
  }

  /** Closes at once, without the TIME_WAIT that a close would leave behind. */
  reset(): void {
    this.user = NOBODY;
    this.socket.resetAndDestroy();
  }
}
