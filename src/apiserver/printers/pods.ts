import type { Pod } from '../../api/generated/types.ts';
import { podRow } from '../../api/print-pod.ts';
import { columns, type TableDefinition } from './table-definition.ts';

const completed = (reason: string, message: string) => [{ type: 'Completed', status: 'True', reason, message }];
const SUCCEEDED = completed('Succeeded', 'The pod has completed successfully.');
const FAILED = completed('Failed', 'The pod failed.');

/** Source: pkg/printers/internalversion printPod */
export const podTable: TableDefinition<Pod> = {
  columns: columns('Name', 'Ready', 'Status', 'Restarts', 'Age', '!IP', '!Node', '!Nominated Node', '!Readiness Gates'),
  cells(pod, now) {
    const row = podRow(pod, now);
    return [
      row.name,
      row.ready,
      row.status,
      row.restarts,
      row.age,
      row.ip,
      row.node,
      row.nominatedNode,
      row.readinessGates,
    ];
  },
  conditions(pod) {
    if (pod.status?.phase === 'Succeeded') return SUCCEEDED;
    if (pod.status?.phase === 'Failed') return FAILED;
    return undefined;
  },
};
