/** Tables of Services and of what stands behind them. Source: pkg/printers/internalversion */
import type { EndpointSlice, Endpoints, Service } from '../../api/generated/types.ts';
import { age, columns, type TableDefinition } from './table-definition.ts';

const NONE = '<none>';
/** How many endpoints or ports a cell shows. */
const SHOWN = 3;

export const serviceTable: TableDefinition<Service> = {
  columns: columns('Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', '!Selector'),
  cells(service, now) {
    const { type = '', clusterIPs = [], ports = [], selector = {} } = service.spec ?? {};
    const portWords = ports.map(({ port, nodePort, protocol }) =>
      nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
    );
    const selected = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
    return [
      service.metadata.name ?? '',
      type,
      clusterIPs[0] || NONE,
      externalAddress(service),
      portWords.join(',') || NONE,
      age(service, now),
      selected.sort().join(',') || NONE,
    ];
  },
};

function externalAddress({ spec = {}, status }: Service): string {
  const { externalIPs = [] } = spec;
  switch (spec.type) {
    case 'ExternalName':
      return spec.externalName ?? '';
    case 'ClusterIP':
    case 'NodePort':
      return externalIPs.join(',') || NONE;
    case 'LoadBalancer': {
      const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '');
      return [...new Set(ingress), ...externalIPs].filter(Boolean).join(',') || '<pending>';
    }
    default:
      return '<unknown>';
  }
}

export const endpointsTable: TableDefinition<Endpoints> = {
  columns: columns('Name', 'Endpoints', 'Age'),
  cells: (endpoints, now) => [endpoints.metadata.name ?? '', endpointWords(endpoints), age(endpoints, now)],
};

function endpointWords({ subsets = [] }: Endpoints): string {
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) =>
          addresses.map(({ ip }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
        ),
  );
  return subsets.length === 0 ? NONE : firstOf(all);
}

export const endpointSliceTable: TableDefinition<EndpointSlice> = {
  columns: columns('Name', 'AddressType', 'Ports', 'Endpoints', 'Age'),
  cells: (slice, now) => [
    slice.metadata.name ?? '',
    slice.addressType,
    firstOf((slice.ports ?? []).map(({ port }) => String(port ?? '*'))) || '<unset>',
    firstOf((slice.endpoints ?? []).flatMap(({ addresses }) => addresses)) || '<unset>',
    age(slice, now),
  ],
};

function firstOf(words: readonly string[]): string {
  const more = words.length - SHOWN;
  return words.slice(0, SHOWN).join(',') + (more > 0 ? ` + ${more} more...` : '');
}
