import type { Event } from '../../api/generated/types.ts';
import { columns, since, type TableDefinition } from './table-definition.ts';

/** Source: pkg/printers/internalversion printEvent */
export const eventTable: TableDefinition<Event> = {
  columns: columns(
    'Last Seen',
    'Type',
    'Reason',
    'Object',
    '!Subobject',
    '!Source',
    'Message',
    '!First Seen',
    '!Count',
    '!Name',
  ),
  cells(event, now) {
    const first = since(event.firstTimestamp || event.eventTime, now);
    const series = event.series?.lastObservedTime;
    const last = series ? since(series, now) : event.lastTimestamp ? since(event.lastTimestamp, now) : first;
    const { kind = '', name } = event.involvedObject;
    return [
      last,
      event.type ?? '',
      event.reason ?? '',
      name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase(),
      event.involvedObject.fieldPath ?? '',
      source(event),
      (event.message ?? '').trim(),
      first,
      event.series?.count ?? (event.count || 1),
      event.metadata.name ?? '',
    ];
  },
};

function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || '';
  const instance = event.source?.host || event.reportingInstance;
  return instance ? `${component}, ${instance}` : component;
}
