import type { Container, LifecycleHandler, Pod } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import type { HookRunner } from '../ports.ts';
import { rpcWords } from '../prober/exec-probe.ts';
import { httpGet, httpGetRequest } from '../prober/http-get.ts';

/** A hook that failed. `message` is what the event says, `detail` what the status of the container says. */
export class HookError extends Error {
  override readonly name = 'HookError';
  readonly detail: string;

  constructor(hook: 'postStart' | 'preStop', detail: string, options?: { cause?: unknown }) {
    super(hook === 'postStart' ? 'PostStartHook failed' : 'PreStopHook failed', options);
    this.detail = detail;
  }
}

/** Runs lifecycle hooks as the kubelet does (kubernetes: pkg/kubelet/lifecycle/handlers.go). Rejects with `HookError`. */
export class DefaultHookRunner implements HookRunner {
  private readonly runtime: RuntimeService;
  private readonly clock: Clock;

  constructor(options: { readonly runtime: RuntimeService; readonly clock: Clock }) {
    this.runtime = options.runtime;
    this.clock = options.clock;
  }

  async run(
    pod: Pod,
    container: Container,
    containerId: string,
    hook: 'postStart' | 'preStop',
    podIP: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const handler = container.lifecycle?.[hook];
    if (!handler) return;
    try {
      await this.carryOut(handler, container, containerId, podIP, signal);
    } catch (error) {
      if (isAbort(error) || signal.aborted) throw error;
      const { name, namespace, uid } = pod.metadata;
      const where = `for Container "${container.name}" in Pod "${name}_${namespace}(${uid})" failed`;
      throw new HookError(hook, failureWords(handler, where, error), { cause: error });
    }
  }

  private async carryOut(
    handler: LifecycleHandler,
    container: Container,
    containerId: string,
    podIP: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (handler.exec) {
      const command = handler.exec.command ?? [];
      const result = await this.runtime.execSync(containerId, command, 0, { signal });
      if (result.exitCode !== 0) throw new ExitError(command, result);
    } else if (handler.httpGet) {
      if (!podIP && !handler.httpGet.host) throw new Error('failed to find networking container');
      const request = httpGetRequest(handler.httpGet, container, podIP, 'lifecycle');
      const result = await httpGet(request, undefined, signal, this.clock);
      signal.throwIfAborted();
      // Any answer will do, whatever its status.
      if (result.kind === 'failure') throw new Error(result.words);
    } else if (handler.sleep) {
      await this.clock.sleep(handler.sleep.seconds * 1000, signal);
    } else {
      // tcpSocket is in the API for old manifests only; no kubelet carries it out.
      throw new Error('invalid handler: tcpSocket is not supported as a lifecycle hook');
    }
  }
}

/** A command that did not exit with 0. */
class ExitError extends Error {
  readonly output: string;

  constructor(command: readonly string[], result: { exitCode: number; stdout: Uint8Array; stderr: Uint8Array }) {
    const stderr = Buffer.from(result.stderr).toString();
    super(`command '${command.join(' ')}' exited with ${result.exitCode}: ${stderr}`);
    this.output = Buffer.concat([result.stdout, result.stderr]).toString();
  }
}

function failureWords(handler: LifecycleHandler, where: string, error: unknown): string {
  const words = error instanceof CriError ? rpcWords(error) : messageOf(error);
  if (handler.exec) {
    const command = `[${(handler.exec.command ?? []).join(' ')}]`;
    const output = JSON.stringify(error instanceof ExitError ? error.output : '');
    return `Exec lifecycle hook (${command}) ${where} - error: ${words}, message: ${output}`;
  }
  if (handler.httpGet) return `HTTP lifecycle hook (${handler.httpGet.path ?? ''}) ${where} - error: ${words}`;
  if (handler.sleep) return `Sleep lifecycle hook (${handler.sleep.seconds}) ${where} - error: ${words}`;
  return `Cannot run handler: ${words}`;
}
