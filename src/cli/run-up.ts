import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type AgentOptions, parseAgentOptions, type RawAgentOptions } from '../agent/agent-options.ts';
import { fileLogger } from '../agent/file-logger.ts';
import { startAgent } from '../agent/start-agent.ts';
import { stopInstance } from '../agent/stop-instance.ts';
import { isAbort, messageOf, UserError } from '../lib/errors.ts';
import { instanceLayout } from '../lib/instance.ts';
import type { CliContext } from './context.ts';
import { exitCodeAfter, interruption, type StopSignal } from './stop-signals.ts';

/** How a detached agent tells the command that started it what happens: lines of JSON on this file descriptor. */
const REPORT_FD = 3;
const REPORT_ENV = 'KUBELETTE_REPORT_FD';

/**
 * How V8 runs an agent. It mostly waits: its optimizing compilers would take up to 20 MB, and more processor time than they save. And
 * what was seen in code is remembered from its fiftieth run on: sooner would take 2 MB, much later would slow the first pods' starts.
 */
const ENGINE_FLAGS = ['--max-opt=1', '--invocation-count-for-feedback-allocation=50'];
/** How it runs one that makes many checks: the first of those compilers takes 4 MB then, and a quarter off the processor time. */
const BUSY_ENGINE_FLAG = '--maglev';

/** What a starting agent tells. */
export type Report =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'ready'; readonly nodeName: string; readonly kubeconfig: string }
  | { readonly type: 'error'; readonly message: string; readonly hint?: string | undefined };

/** `kubelette up`: in the foreground until a signal, or, detached, until the node is Ready. */
export async function runUp(raw: RawAgentOptions, detach: boolean, context: CliContext): Promise<void> {
  const options = parseAgentOptions(raw);
  if (detach) return await upDetached(options, context);
  if (context.env[REPORT_ENV] === undefined) {
    await setEngineFlags(ENGINE_FLAGS);
    // Whoever closes its terminal leaves what was started there, as with Ctrl-C.
    return await upForeground(options, context, ['SIGINT', 'SIGHUP'], printer(context));
  }
  try {
    // A detached agent: its errors are the business of the command that waits for it.
    await upForeground(options, context, ['SIGINT'], (report) => {
      try {
        writeSync(REPORT_FD, `${JSON.stringify(report)}\n`);
      } catch {
        // That command is gone (Ctrl-C): the agent goes on without it.
      }
    });
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    writeSync(REPORT_FD, `${JSON.stringify({ type: 'error', message: messageOf(error), hint } satisfies Report)}\n`);
    context.exitCode = 1;
  }
}

/** `node:v8` is loaded only where it is needed: most agents do without. */
async function setEngineFlags(flags: readonly string[]): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  for (const flag of flags) setFlagsFromString(flag);
}

/**
 * Runs an agent in this process until a signal comes. Its containers live on after it, and the next agent adopts them: SIGTERM comes
 * from a supervisor, or `down`.
 * @param endAll the signals that end the containers as well
 */
async function upForeground(
  options: AgentOptions,
  context: CliContext,
  endAll: readonly StopSignal[],
  report: (r: Report) => void,
): Promise<void> {
  const layout = instanceLayout(options.rootDir);
  const starting = new AbortController();
  let leave = (signal: StopSignal): void => starting.abort(interruption(signal));
  const offs = [
    ...(['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => context.onSignal(signal, () => leave(signal))),
    // A node goes on when nobody reads what it says.
    context.onSignal('SIGPIPE', () => {}),
  ];
  const onProgress = (text: string): void => report({ type: 'progress', text });
  try {
    const agent = await startAgent(options, {
      clock: context.clock,
      random: context.random,
      logger: (path) => fileLogger(path, context.env.KUBELETTE_DEBUG ? 'debug' : 'info'),
      signal: starting.signal,
      onProgress,
      onManyChecks: () => void setEngineFlags([BUSY_ENGINE_FLAG]),
    });
    report({ type: 'ready', nodeName: agent.nodeName, kubeconfig: layout.kubeconfig });
    const signal = await new Promise<StopSignal>((resolve) => {
      leave = resolve;
    });
    leave = () => {};
    await agent.stop();
    if (endAll.includes(signal)) await stopInstance(layout, { purge: false, clock: context.clock, onProgress });
  } catch (error) {
    if (!isAbort(error)) throw error;
    await stopInstance(layout, { purge: false, clock: context.clock, onProgress });
    context.exitCode = exitCodeAfter(error as Error);
  } finally {
    for (const off of offs) off();
  }
}

async function upDetached(options: AgentOptions, context: CliContext): Promise<void> {
  await startDetachedAgent(options, context, printer(context));
}

/**
 * Starts an agent in the background and waits until its node is Ready. Ctrl-C, SIGTERM and SIGHUP end it again.
 * @throws UserError with the agent's own words; an AbortError (`interruption`) when it was ended again
 */
export async function startDetachedAgent(
  options: AgentOptions,
  context: CliContext,
  show: (report: Report) => void,
): Promise<void> {
  const engine = [...process.execArgv, ...ENGINE_FLAGS];
  const child = spawn(process.execPath, [...engine, process.argv[1]!, 'up', ...argumentsOf(options)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    // An agent trusts nobody because of the host's certificates; reading them would take 1 MB.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, [REPORT_ENV]: String(REPORT_FD) },
    cwd: '/',
  });
  const exited = once(child, 'exit');
  let stoppedBy: StopSignal | undefined;
  const offs = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) =>
    context.onSignal(signal, () => {
      stoppedBy ??= signal;
      child.kill('SIGINT');
    }),
  );
  const reports = child.stdio[REPORT_FD] as Readable;
  try {
    for await (const line of createInterface({ input: reports })) {
      const report = JSON.parse(line) as Report;
      if (report.type === 'error') {
        await exited; // and has cleaned up
        throw new UserError(report.message, { hint: report.hint });
      }
      show(report);
      if (report.type === 'ready' && !stoppedBy) return;
    }
    if (stoppedBy) throw interruption(stoppedBy);
    throw new UserError('the agent ended before its node was Ready', {
      hint: `See ${instanceLayout(options.rootDir).agentLog}`,
    });
  } finally {
    for (const off of offs) off();
    child.unref();
    reports.destroy();
  }
}

/** The command line that means these options. */
function argumentsOf(options: AgentOptions): string[] {
  const given: Record<string, string | number | undefined> = {
    '--root-dir': options.rootDir,
    '--port': options.port,
    '--pod-cidr': options.podCIDR,
    '--service-cidr': options.serviceCIDR,
    '--registry-mirror': options.registryMirror,
    '--pause-image': options.pauseImage,
    '--resolv-conf': options.resolvConf,
    '--runtime-endpoint': options.runtimeEndpoint,
    '--max-container-restart-period': options.maxContainerRestartPeriodSeconds,
    '--max-pods': options.maxPods,
  };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
}

function printer(context: CliContext): (report: Report) => void {
  const startedAt = context.clock.monotonic();
  const seconds = (): string => ((context.clock.monotonic() - startedAt) / 1000).toFixed(1);
  return (report) => {
    switch (report.type) {
      case 'progress':
        context.stderr.write(`[${seconds()} s] ${report.text}\n`);
        break;
      case 'ready':
        context.stdout.write(
          `Node ${report.nodeName} is Ready after ${seconds()} s. Use it with:\n\n` +
            `  export KUBECONFIG=${report.kubeconfig}\n  kubectl get pods\n`,
        );
        break;
      case 'error':
        context.stderr.write(`${report.message}\n`);
    }
  };
}
