/** `metav1.Time`: RFC 3339 in UTC, whole seconds (Kubernetes truncates). @param ms wall time, ms since the epoch */
export function formatTime(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** `metav1.MicroTime`: RFC 3339 in UTC with six decimals. @param ms wall time, ms since the epoch */
export function formatMicroTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}

/** Milliseconds since the epoch of a Time or MicroTime; undefined when absent or not a time. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
