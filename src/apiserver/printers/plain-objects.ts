/** Tables of resources whose rows are a few fields. Source: pkg/printers/internalversion */
import type { ConfigMap, Lease, Namespace, Secret, ServiceAccount } from '../../api/generated/types.ts';
import { age, columns, type TableDefinition } from './table-definition.ts';

const size = (map: object | undefined): number => Object.keys(map ?? {}).length;

export const namespaceTable: TableDefinition<Namespace> = {
  columns: columns('Name', 'Status', 'Age'),
  cells: (ns, now) => [ns.metadata.name ?? '', ns.status?.phase ?? '', age(ns, now)],
};

export const configMapTable: TableDefinition<ConfigMap> = {
  columns: columns('Name', 'Data', 'Age'),
  cells: (cm, now) => [cm.metadata.name ?? '', size(cm.data) + size(cm.binaryData), age(cm, now)],
};

export const secretTable: TableDefinition<Secret> = {
  columns: columns('Name', 'Type', 'Data', 'Age'),
  cells: (secret, now) => [secret.metadata.name ?? '', secret.type ?? '', size(secret.data), age(secret, now)],
};

export const serviceAccountTable: TableDefinition<ServiceAccount> = {
  columns: columns('Name', 'Age'),
  cells: (account, now) => [account.metadata.name ?? '', age(account, now)],
};

export const leaseTable: TableDefinition<Lease> = {
  columns: columns('Name', 'Holder', 'Age'),
  cells: (lease, now) => [lease.metadata.name ?? '', lease.spec?.holderIdentity ?? '', age(lease, now)],
};
