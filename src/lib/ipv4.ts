/** An IPv4 network. */
export interface Cidr {
  /** The network's address as a number; host bits are 0. */
  readonly base: number;
  /** Prefix length, 0 to 32. */
  readonly length: number;
}

/** The number of a dotted IPv4 address, or undefined. */
export function parseIPv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const parts = match.slice(1).map(Number);
  // A leading zero would be octal to some readers.
  if (parts.some((part, i) => part > 255 || String(part) !== match[i + 1])) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function formatIPv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Parses `10.88.0.0/16`; bits behind the prefix are cut off. Undefined when it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const [address, length, ...rest] = text.split('/');
  const number = parseIPv4(address ?? '');
  if (number === undefined || !/^\d{1,2}$/.test(length ?? '') || Number(length) > 32 || rest.length > 0) {
    return undefined;
  }
  return cidr(number, Number(length));
}

/** The network of this prefix length that the address is in. */
export function cidr(address: number, length: number): Cidr {
  const size = 2 ** (32 - length);
  return { base: Math.floor(address / size) * size, length };
}

export function formatCidr({ base, length }: Cidr): string {
  return `${formatIPv4(base)}/${length}`;
}

/** Whether they share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  const length = Math.min(a.length, b.length);
  return cidr(a.base, length).base === cidr(b.base, length).base;
}
