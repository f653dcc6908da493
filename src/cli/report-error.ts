import { ApiStatusError } from '../api/status-error.ts';
import { errnoOf, isAbort, messageOf, UserError } from '../lib/errors.ts';
import { exitCodeAfter } from './stop-signals.ts';

/**
 * What the user sees of a failure, in the words kubectl uses for what a server answers, and the exit code. Never a stack trace.
 * Cancellations print nothing and exit as a shell does after the signal: with 130 after Ctrl-C.
 */
export function describeError(error: unknown): { text: string; exitCode: number } {
  if (isAbort(error)) return { text: '', exitCode: exitCodeAfter(error as Error) };
  if (error instanceof ApiStatusError) return { text: `${describeStatus(error)}\n`, exitCode: 1 };
  if (error instanceof UserError) {
    const hint = error.hint === undefined ? '' : `hint: ${error.hint}\n`;
    return { text: `error: ${error.message}\n${hint}`, exitCode: error.exitCode };
  }
  if (errnoOf(error) === 'ECONNREFUSED') {
    const { address, port } = error as { address?: string; port?: number };
    const where = address === undefined ? '' : ` at ${address}:${port}`;
    return { text: `error: nobody listens${where}\nhint: kubelette up --detach starts the node\n`, exitCode: 1 };
  }
  return { text: `error: ${messageOf(error)}\n`, exitCode: 1 };
}

function describeStatus(error: ApiStatusError): string {
  if (error.reason !== 'Invalid' || error.details === undefined) {
    return `Error from server${error.reason ? ` (${error.reason})` : ''}: ${error.message}`;
  }
  const { kind, name, causes = [] } = error.details;
  const subject = `The ${kind ?? 'object'} "${name ?? ''}" is invalid`;
  const lines = causes.map((c) => (c.field ? `${c.field}: ${c.message ?? ''}` : (c.message ?? '')));
  if (lines.length === 0) return `${subject}: ${error.message}`;
  return lines.length === 1 ? `${subject}: ${lines[0]}` : `${subject}:\n${lines.map((l) => `* ${l}`).join('\n')}`;
}
