import type { Container } from '../../api/generated/types.ts';

/**
 * A handler's port as a number: a number, the name of one of the container's own ports, or digits in a string.
 * Throws with the kubelet's words (kubernetes: pkg/probe/util.go).
 */
export function resolvePort(port: number | string, container: Container): number {
  const named = typeof port === 'string' ? container.ports?.find((p) => p.name === port)?.containerPort : port;
  if (named === undefined && !/^[+-]?\d+$/.test(String(port))) {
    throw new Error(`strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`);
  }
  const number = named ?? Number(port);
  if (number < 1 || number > 65535) throw new Error(`invalid port number: ${number}`);
  return number;
}

/** `host:port`, what has a colon, an IPv6 address, in brackets (Go's net.JoinHostPort). */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
