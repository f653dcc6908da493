import type { Node } from '../../api/generated/types.ts';
import { age, columns, type TableDefinition } from './table-definition.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';

/** Source: pkg/printers/internalversion printNode */
export const nodeTable: TableDefinition<Node> = {
  columns: columns(
    'Name',
    'Status',
    'Roles',
    'Age',
    'Version',
    '!Internal-IP',
    '!External-IP',
    '!OS-Image',
    '!Kernel-Version',
    '!Container-Runtime',
  ),
  cells(node, now) {
    const info = node.status?.nodeInfo;
    const kernel = info?.kernelVersion || '<unknown>';
    return [
      node.metadata.name ?? '',
      statusWords(node),
      roles(node),
      age(node, now),
      info?.kubeletVersion ?? '',
      address(node, 'InternalIP'),
      address(node, 'ExternalIP'),
      info?.osImage || '<unknown>',
      info?.architecture ? `${kernel} (${info.architecture})` : kernel,
      info?.containerRuntimeVersion || '<unknown>',
    ];
  },
};

function statusWords(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const word = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return node.spec?.unschedulable ? `${word},SchedulingDisabled` : word;
}

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [label, value] of Object.entries(node.metadata.labels ?? {})) {
    if (label.startsWith(ROLE_PREFIX)) found.add(label.slice(ROLE_PREFIX.length));
    else if (label === 'kubernetes.io/role' && value) found.add(value);
  }
  found.delete('');
  return found.size === 0 ? '<none>' : [...found].sort().join(',');
}

function address(node: Node, type: string): string {
  return node.status?.addresses?.find((a) => a.type === type)?.address ?? '<none>';
}
