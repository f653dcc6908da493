import { spawn } from 'node:child_process';

export interface ProcessResult {
  /** Exit code; 128 + the number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly input?: string | undefined;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it is killed and the call fails; 60 s unless said otherwise. */
  readonly timeoutMs?: number | undefined;
}

/** Runs a program to its end, whatever that is; rejects only when it cannot be started or takes too long. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const { env, input, cwd, signal, timeoutMs = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (chunk: string) => {
        output[name] += chunk;
      });
    }
    const line = [command, ...args].join(' ');
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new Error(`${line} did not end within ${timeoutMs} ms. Its output so far: ${output.stdout}${output.stderr}`),
      );
    }, timeoutMs);
    const onAbort = (): void => void child.kill('SIGINT');
    signal?.addEventListener('abort', onAbort, { once: true });
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(input ?? '');
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve({ code: code ?? 128, ...output });
    });
  });
}

/** As `runProcess`, but a failure rejects. Resolves with stdout. */
export async function outputOf(command: string, args: readonly string[], options?: ProcessOptions): Promise<string> {
  const result = await runProcess(command, args, options);
  if (result.code !== 0) {
    throw new Error(`${[command, ...args].join(' ')} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}
