import { isIPv6 } from 'node:net';
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

/** `host:port`, an IPv6 address in brackets. */
export function joinHostPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A duration in the way Go prints it: `1s`, `1m30s`, `1h0m0s`. Whole seconds. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const from = parts.findIndex((n) => n > 0);
  return parts
    .map((n, i) => `${n}${'hms'[i]}`)
    .slice(from < 0 ? 2 : from)
    .join('');
}
