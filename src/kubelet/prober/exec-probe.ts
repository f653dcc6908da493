import type { EnvVar, ExecAction } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import { messageOf } from '../../lib/errors.ts';
import { goDuration } from '../../lib/go-duration.ts';
import { type Attempt, type AttemptInput, MAX_OUTPUT_BYTES } from './attempt.ts';

/** Exit code 0 is success. The runtime keeps the time-out, so our own lag cannot make it fail. */
export async function execProbe(
  action: ExecAction,
  input: AttemptInput,
  runtime: Pick<RuntimeService, 'execSync'>,
): Promise<Attempt> {
  const command = (action.command ?? []).map((word) => expandStatic(word, input.container.env ?? []));
  try {
    const result = await runtime.execSync(input.containerId, command, input.timeoutMs / 1000, { signal: input.signal });
    // Not interleaved as they were written, which is how the kubelet has it, too.
    const output = Buffer.concat([result.stdout, result.stderr]).subarray(0, MAX_OUTPUT_BYTES).toString();
    return { outcome: result.exitCode === 0 ? 'success' : 'failure', output };
  } catch (error) {
    if (error instanceof CriError && error.code === 'DEADLINE_EXCEEDED') {
      const what = JSON.stringify(command.join(' '));
      return {
        outcome: 'failure',
        output: `command timed out: ${what} timed out after ${goDuration(input.timeoutMs)}`,
      };
    }
    return { outcome: 'error', output: rpcWords(error) };
  }
}

/** A CRI error as Go's gRPC prints it, which is what the kubelet's events show. */
export function rpcWords(error: unknown): string {
  if (!(error instanceof CriError)) return messageOf(error);
  const code = error.code.toLowerCase().replace(/(^|_)([a-z])/g, (_, _sep, letter: string) => letter.toUpperCase());
  return `rpc error: code = ${code === 'Cancelled' ? 'Canceled' : code} desc = ${error.message}`;
}

/**
 * Replaces `$(NAME)` by the container's literal env, as the kubelet does for probe commands; `$$` is an escaped `$`. A name that
 * is not there, or whose value comes from elsewhere, stays as it is written.
 */
function expandStatic(word: string, env: readonly EnvVar[]): string {
  return word.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) => {
    if (name === undefined) return '$';
    const found = env.findLast((variable) => variable.name === name && !variable.valueFrom);
    return found ? (found.value ?? '') : whole;
  });
}
