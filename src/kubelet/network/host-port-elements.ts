import type { HostPort } from '../../api/host-ports.ts';
import { UserError } from '../../lib/errors.ts';
import { parseIPv4 } from '../../lib/ipv4.ts';

/** Elements of the two maps from host ports to pods, by `MAP KEY`; the value is where it leads: `ADDRESS . PORT`. */
export type Elements = ReadonlyMap<string, string>;

/** The maps: ports on every address of the host, and on one of them. */
export const MAPS = { any: 'hostports', one: 'hostports-at' } as const;

/** The elements for a pod's host ports. @throws UserError on an address that this node cannot have */
export function hostPortElements(ports: readonly HostPort[], podIP: string): Elements {
  return new Map(
    ports.map(({ protocol, hostIP, hostPort, containerPort }) => {
      if (hostIP !== '' && parseIPv4(hostIP) === undefined) {
        throw new UserError(`hostPort ${hostPort}: hostIP ${JSON.stringify(hostIP)} is not an IPv4 address`);
      }
      const port = `${protocol} . ${hostPort}`;
      const key = hostIP === '' ? `${MAPS.any} ${port}` : `${MAPS.one} ${hostIP} . ${port}`;
      return [key, `${podIP} . ${containerPort}`];
    }),
  );
}

/** The nft commands that turn a pod's elements from `before` into `after`; '' when nothing changes. */
export function elementChanges(table: string, podUID: string, before: Elements, after: Elements): string {
  const lines: string[] = [];
  for (const [key, value] of before) {
    if (after.get(key) !== value) lines.push(`delete element ip ${table} ${inMap(key, (k) => k)}`);
  }
  for (const [key, value] of after) {
    if (before.get(key) === value) continue;
    lines.push(`add element ip ${table} ${inMap(key, (k) => `${k} comment "${podUID}" : ${value}`)}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function inMap(key: string, element: (key: string) => string): string {
  const space = key.indexOf(' ');
  return `${key.slice(0, space)} { ${element(key.slice(space + 1))} }`;
}

/** All elements by pod UID, from what `nft -j list table` prints. */
export function parseElements(json: string): Map<string, Elements> {
  const byPod = new Map<string, Map<string, string>>();
  for (const { map } of (JSON.parse(json) as { nftables: Listed[] }).nftables) {
    for (const [key, value] of map?.elem ?? []) {
      const uid = key.elem?.comment;
      if (uid === undefined) continue;
      const elements = byPod.get(uid) ?? new Map<string, string>();
      elements.set(`${map!.name} ${key.elem!.val.concat.join(' . ')}`, value.concat.join(' . '));
      byPod.set(uid, elements);
    }
  }
  return byPod;
}

interface Concat {
  readonly concat: readonly (string | number)[];
}

interface Listed {
  readonly map?: {
    readonly name: string;
    readonly elem?: readonly [{ readonly elem?: { readonly val: Concat; readonly comment?: string } }, Concat][];
  };
}
