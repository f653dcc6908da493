import { parseTime } from '../../api/time.ts';

/** What of a container's log is wanted: core/v1 PodLogOptions. */
export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  /** Only lines from then on: wall time, ms since the epoch. */
  readonly since: number | undefined;
  readonly stream: 'All' | 'Stdout' | 'Stderr';
}

/**
 * Reads the query of a log request. A bad value is told as a message that names the field and the value.
 * @param now wall time, ms since the epoch, from which sinceSeconds is counted
 */
export function parseLogOptions(query: URLSearchParams, now: number): LogOptions | { readonly error: string } {
  const errors: string[] = [];
  const flag = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const count = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (!text) return undefined;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= least) return value;
    errors.push(`${name}: Invalid value: ${text}: must be greater than or equal to ${least}`);
    return undefined;
  };
  const sinceSeconds = count('sinceSeconds', 1);
  const sinceTime = query.get('sinceTime') || undefined;
  const sinceMs = parseTime(sinceTime);
  if (sinceTime && sinceMs === undefined) errors.push(`sinceTime: Invalid value: ${sinceTime}: must be a time`);
  const stream = query.get('stream') || 'All';
  if (stream !== 'All' && stream !== 'Stdout' && stream !== 'Stderr') {
    errors.push(`stream: Unsupported value: "${stream}": supported values: "All", "Stderr", "Stdout"`);
    return { error: errors.join(', ') };
  }
  const options: LogOptions = {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: count('tailLines', 0),
    limitBytes: count('limitBytes', 1),
    since: sinceSeconds === undefined ? sinceMs : now - sinceSeconds * 1000,
    stream,
  };
  return errors.length > 0 ? { error: errors.join(', ') } : options;
}
