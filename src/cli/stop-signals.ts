import { constants } from 'node:os';

/** What asks a command to end: Ctrl-C; a supervisor; the terminal was closed; nobody reads standard output any more. */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGPIPE';

/** An AbortError of a command that a signal stopped; `exitCodeAfter` knows which. */
export function interruption(signal: StopSignal): Error {
  return Object.assign(new Error(`stopped by ${signal}`, { cause: signal }), { name: 'AbortError' });
}

/** As a shell shows the end by a signal; an AbortError that tells of none comes from Ctrl-C. */
export function exitCodeAfter({ cause }: { readonly cause?: unknown }): number {
  const number = Object.entries(constants.signals).find(([name]) => name === cause)?.[1];
  return 128 + (number ?? constants.signals.SIGINT);
}
