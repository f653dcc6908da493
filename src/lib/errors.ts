/**
 * A mistake or lack that the user can mend. The CLI prints its message, and its hint if any, without a stack trace.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** What to do about it: one sentence or one command. */
  readonly hint: string | undefined;
  /** The process's exit code; 1 unless the command says otherwise. */
  readonly exitCode: number;

  constructor(message: string, options: { hint?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether this is a cancellation, which is never a failure and never logged as one. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error as { code?: string }).code === 'ABORT_ERR');
}

/** The reason of an aborted signal, always an AbortError. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (isAbort(reason)) return reason as Error;
  const error = new Error('The operation was aborted', { cause: reason });
  error.name = 'AbortError';
  return error;
}

/** The system's error code, such as ENOENT, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Fails when an invariant of our own is broken: a bug, never a user's mistake. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${what}`);
}
