import { isIP, SocketAddress } from 'node:net';
import { parseIPv4 } from '../../lib/ipv4.ts';
import { type FieldError, invalid } from './field-error.ts';

/** Rules for addresses and networks: apimachinery `pkg/util/validation/ip.go`, strict as since 1.36. Errors are added to `errors`. */

/** An address as a number of so many bits. */
interface Address {
  readonly number: bigint;
  readonly bits: 32 | 128;
}

/**
 * An IPv4 or IPv6 address.
 * @param stored of the old object, where what was valid once may stay
 * @returns whether it is one
 */
export function validateIP(value: string, path: string, errors: FieldError[], stored: readonly string[] = []): boolean {
  const why = stored.includes(value) ? undefined : whyNotIP(value);
  if (why !== undefined) errors.push(invalid(path, value, why));
  return why === undefined;
}

/** An address as newer fields have it: an IPv6 address as RFC 5952 writes it. @returns whether it is one */
export function validateCanonicalIP(value: string, path: string, errors: FieldError[]): boolean {
  if (!validateIP(value, path, errors)) return false;
  if (isIP(value) === 4) return true;
  const { address } = new SocketAddress({ address: value, family: 'ipv6' });
  if (address !== value) errors.push(invalid(path, value, `must be in canonical form (${JSON.stringify(address)})`));
  return address === value;
}

function whyNotIP(value: string): string | undefined {
  const address = parse(withoutLeadingZeros(value));
  if (!address) return 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  if (parse(value) === undefined) return 'must not have leading 0s';
  return isMappedIPv4(address) ? 'must not be an IPv4-mapped IPv6 address' : undefined;
}

/** A network, such as 10.0.0.0/8. @param stored as of `validateIP` */
export function validateCIDR(value: string, path: string, errors: FieldError[], stored: readonly string[] = []): void {
  const why = stored.includes(value) ? undefined : whyNotCIDR(value);
  if (why !== undefined) errors.push(invalid(path, value, why));
}

function whyNotCIDR(value: string): string | undefined {
  const [, ip = '', length = ''] = /^([^/]*)\/(\d+)$/.exec(value) ?? [];
  const address = parse(withoutLeadingZeros(ip));
  if (!address || length === '' || Number(length) > address.bits) {
    return 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  }
  if (parse(ip) === undefined || /^0./.test(length)) return 'must not have leading 0s in IP or prefix length';
  if (isMappedIPv4(address)) return 'must not have an IPv4-mapped IPv6 address';
  const hostBits = BigInt(address.bits - Number(length));
  return (address.number >> hostBits) << hostBits === address.number
    ? undefined
    : 'must not have bits set beyond the prefix length';
}

/** What nobody can be reached at: ValidateEndpointIP in `pkg/apis/core/validation`. */
const SPECIAL: readonly [isIn: (address: Address) => boolean, why: (value: string) => string][] = [
  [({ number }) => number === 0n, (value) => `may not be unspecified (${value})`],
  [
    (address) => isWithin(address, 0xa9fen, 16, 0x3fan, 10),
    () => 'may not be in the link-local range (169.254.0.0/16, fe80::/10)',
  ],
  [
    ({ number, bits }) =>
      bits === 32 ? number >> 8n === 0xe00000n : number >> 120n === 0xffn && ((number >> 112n) & 15n) === 2n,
    () => 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
  ],
];
const LOOPBACK: (typeof SPECIAL)[number] = [
  (address) => isWithin(address, 127n, 8, 1n, 128),
  () => 'may not be in the loopback range (127.0.0.0/8, ::1/128)',
];

/** Where an endpoint can be: everywhere but at addresses that lead to nobody. Loopback is allowed, since the node is this host. */
export function validateEndpointIP(value: string, path: string, errors: FieldError[]): void {
  refuseRanges(value, SPECIAL, path, errors);
}

/** What may be an external address of a Service. Without this rule it could take what listens on 127.0.0.1 away from the host. */
export function validateExternalIP(value: string, path: string, errors: FieldError[]): void {
  refuseRanges(value, [...SPECIAL, LOOPBACK], path, errors);
}

function refuseRanges(value: string, ranges: typeof SPECIAL, path: string, errors: FieldError[]): void {
  const address = parse(withoutLeadingZeros(value));
  if (!address) {
    errors.push(invalid(path, value, 'must be a valid IP address'));
    return;
  }
  const meant = isMappedIPv4(address) ? { number: address.number & 0xffffffffn, bits: 32 as const } : address;
  for (const [isIn, why] of ranges) if (isIn(meant)) errors.push(invalid(path, value, why(value)));
}

function isWithin({ number, bits }: Address, v4: bigint, v4Length: number, v6: bigint, v6Length: number): boolean {
  const [network, length] = bits === 32 ? [v4, v4Length] : [v6, v6Length];
  return number >> BigInt(bits - length) === network;
}

function isMappedIPv4({ number, bits }: Address): boolean {
  return bits === 128 && number >> 32n === 0xffffn;
}

/** Numbers between dots only: the groups of an IPv6 address may begin with zeros. */
function withoutLeadingZeros(value: string): string {
  return value.replace(/(?<=^|[.:])0+(?=\d+\.)|(?<=\.)0+(?=\d)/g, '');
}

function parse(value: string): Address | undefined {
  const version = value.includes('%') ? 0 : isIP(value);
  if (version === 0) return undefined;
  if (version === 4) return { number: BigInt(parseIPv4(value)!), bits: 32 };
  const hex = value.replace(/[^:]*\.[^:]*$/, (tail) => {
    const number = parseIPv4(tail)!;
    return `${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`;
  });
  const [front = [], back = []] = hex.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array<string>(8 - front.length - back.length).fill('0');
  const groups = [...front, ...zeros, ...back];
  return { number: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n), bits: 128 };
}
