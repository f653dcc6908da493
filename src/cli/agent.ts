import { runningAgent } from '../agent/agent-file.ts';
import { parseAgentOptions, type RawAgentOptions } from '../agent/agent-options.ts';
import { stopInstance } from '../agent/stop-instance.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { instanceLayout } from '../lib/instance.ts';
import type { CliContext } from './context.ts';

/** The agent that a command works with. */
export interface EnsuredAgent {
  readonly client: KubeClient;
  /** Whether it was started for this command. */
  readonly started: boolean;
  /** Ends it with all that runs on it; objects and images are kept. */
  stop(): Promise<void>;
}

/**
 * The agent of this root directory; one is started in the background when none runs.
 * @throws UserError when it does not start; an AbortError (`interruption`) after Ctrl-C and the like
 */
export async function ensureAgent(context: CliContext, raw: RawAgentOptions): Promise<EnsuredAgent> {
  const options = parseAgentOptions(raw);
  const layout = instanceLayout(options.rootDir);
  const say = (text: string): void => void context.stderr.write(`${text}\n`);
  const started = runningAgent(layout) === undefined;
  if (started) {
    const { startDetachedAgent } = await import('./run-up.ts');
    await startDetachedAgent(options, context, (report) => {
      if (report.type === 'progress') say(report.text);
    });
  }
  return {
    client: await context.client({ rootDir: layout.rootDir, kubeconfig: layout.kubeconfig, namespace: 'default' }),
    started,
    stop: async () => {
      await stopInstance(layout, { purge: false, clock: context.clock, onProgress: say });
    },
  };
}
