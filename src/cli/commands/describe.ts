import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

export function registerDescribe(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('describe')
      .summary('say why a pod is not ready, and all about it')
      .description('Say in plain words why a pod is not ready and what to do, then everything known about it.')
      .argument('<type>', 'pod, or pod/NAME')
      .argument('[name...]', 'names of pods'),
  )
    .addHelpText('after', '\nExamples:\n  kubelette describe pod webapl\n')
    .action(async (type: string, names: string[], _options: object, command: Command) => {
      const { UserError } = await import('../../lib/errors.ts');
      const { PODS } = await import('../../api/resources.ts');
      const { parseTargets } = await import('../resource-names.ts');
      const { podEvents, podProbes } = await import('../pod-facts.ts');
      const { explainPod } = await import('../view/explain-pod.ts');
      const { describePod, renderExplanation } = await import('../view/describe-pod.ts');
      const { styleOf } = await import('../view/style.ts');
      const targets = parseTargets([type, ...names]);
      const server = serverOptions(command, context);
      const client = await context.client(server);
      for (const [i, { resource, name }] of targets.entries()) {
        if (resource !== PODS) {
          throw new UserError(`describe knows pods only, not ${resource.plural}`, {
            hint: `kubelette get ${resource.plural} ${name ?? ''} -o yaml, or kubectl describe`.replace('  ', ' '),
          });
        }
        if (name === undefined) throw new UserError('which pod?', { hint: 'kubelette describe pod NAME' });
        const pod = await client.get(PODS, { name, namespace: server.namespace });
        const [events, probes] = await Promise.all([podEvents(client, pod), podProbes(context, server, pod)]);
        const now = context.clock.now();
        const lines = [
          ...(i === 0 ? [] : ['', '']),
          ...renderExplanation(explainPod(pod, events, probes, now), styleOf(context.color)),
          '',
          ...describePod(pod, events, now),
        ];
        context.stdout.write(`${lines.join('\n')}\n`);
      }
    });
}
