import { type Command, Option } from 'commander';
import type { RawAgentOptions } from '../../agent/agent-options.ts';
import { DEFAULT_ROOT_DIR } from '../../lib/instance.ts';
import type { CliContext } from '../context.ts';
import { serverOptions } from '../server-options.ts';

/** Adds the options that say how an agent is started; `up` and `run` take them. */
export function addAgentOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--root-dir <dir>', `state of the instance (default: $KUBELETTE_ROOT_DIR or ${DEFAULT_ROOT_DIR})`),
    )
    .addOption(new Option('--port <number>', 'port of the API server on 127.0.0.1; 0 takes a free one (default: 6443)'))
    .addOption(
      new Option('--pod-cidr <cidr>', 'addresses of the pods (default: chosen to avoid the routes of this host)'),
    )
    .addOption(new Option('--service-cidr <cidr>', 'addresses of the Services (default: chosen likewise)'))
    .addOption(new Option('--registry-mirror <url>', 'pull every image from this registry'))
    .addOption(new Option('--pause-image <image>', 'image of the pod sandbox (default: registry.k8s.io/pause:3.10)'))
    .addOption(new Option('--resolv-conf <file>', 'resolver settings for pods (default: /etc/resolv.conf)'))
    .addOption(new Option('--runtime-endpoint <socket>', 'use this CRI runtime instead of a private containerd'))
    .addOption(
      new Option(
        '--max-container-restart-period <seconds>',
        'longest wait of CrashLoopBackOff, 1 to 300 (default: 300)',
      ),
    )
    .addOption(new Option('--max-pods <number>', 'how many pods the node runs at most (default: 110)'));
}

/** What `addAgentOptions` found on the command line. */
export function agentOptions(command: Command, context: Pick<CliContext, 'env' | 'cwd'>): RawAgentOptions {
  const given = command.opts<Record<string, string | undefined>>();
  return {
    rootDir: serverOptions(command, context).rootDir,
    port: given.port,
    podCIDR: given.podCidr,
    serviceCIDR: given.serviceCidr,
    registryMirror: given.registryMirror,
    pauseImage: given.pauseImage,
    resolvConf: given.resolvConf,
    runtimeEndpoint: given.runtimeEndpoint,
    maxContainerRestartPeriodSeconds: given.maxContainerRestartPeriod,
    maxPods: given.maxPods,
  };
}

export function registerUp(program: Command, context: CliContext): void {
  addAgentOptions(
    program
      .command('up')
      .summary('start the node: API server, kubelet and containerd')
      .description(
        'Starts the node and keeps it running until Ctrl-C (or its terminal is closed), which stops everything. With --detach ' +
          'it goes on in the background and the command returns once the node is Ready. `kubelette down` stops it.',
      ),
  )
    .option('-d, --detach', 'go on in the background; return once the node is Ready')
    .addHelpText(
      'after',
      '\nExamples:\n  kubelette up --detach\n  kubelette up --root-dir /tmp/k --port 0 --registry-mirror http://127.0.0.1:5000',
    )
    .action(async (options: { detach?: boolean }, command: Command) => {
      const { runUp } = await import('../run-up.ts');
      await runUp(agentOptions(command, context), options.detach === true, context);
    });
}
