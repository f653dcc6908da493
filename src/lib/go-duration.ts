/**
 * A duration in whole milliseconds as Go's `time.Duration` prints it (`62ms`, `1.5s`, `1m45.457s`, `1h0m0s`), which is how events quote
 * it. @param ms not negative; fractions are cut off
 */
export function goDuration(ms: number): string {
  const whole = Math.floor(ms);
  if (whole === 0) return '0s';
  if (whole < 1000) return `${whole}ms`;
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = (whole % 60_000) / 1000;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
