import { type Command, InvalidArgumentError } from 'commander';
import type { CliContext } from '../context.ts';
import type { Check } from '../doctor-checks.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

export function registerDoctor(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('doctor')
      .summary('check what this machine has, and how to mend what it lacks')
      .description(
        'Check kernel, cgroups, capabilities, programs, network and disk. Exits with 1 when something needed is missing.',
      )
      .option('--port <number>', 'port that the API server is to use (default: 6443)', parsePort)
      .option('--resolv-conf <file>', 'resolver settings that pods would get', '/etc/resolv.conf'),
  )
    .addHelpText('after', '\nExamples:\n  kubelette doctor\n  kubelette doctor --root-dir /srv/k --port 7443\n')
    .action(async (options: { port?: number; resolvConf: string }, command: Command) => {
      const { DEFAULT_PORT } = await import('../../agent/agent-options.ts');
      const { collectHostFacts } = await import('../doctor-facts.ts');
      const { evaluateHost } = await import('../doctor-checks.ts');
      const { rootDir } = serverOptions(command, context);
      const checks = evaluateHost(await collectHostFacts(rootDir, options.port ?? DEFAULT_PORT, options.resolvConf));
      context.stdout.write(`${(await renderChecks(checks, context.color)).join('\n')}\n`);
      if (checks.some((c) => c.level === 'fail')) context.exitCode = 1;
    });
}

async function renderChecks(checks: readonly Check[], color: boolean): Promise<string[]> {
  const { styleOf } = await import('../view/style.ts');
  const style = styleOf(color);
  const paint = { ok: style.good, warn: style.warn, fail: style.bad };
  const width = Math.max(...checks.map((c) => c.name.length));
  const lines = checks.flatMap(({ name, level, text, mend }) => [
    `${paint[level](level.padEnd(4))}  ${name.padEnd(width)}  ${text}`,
    ...(mend === undefined ? [] : [`${' '.repeat(width + 8)}${style.bold(`> ${mend}`)}`]),
  ]);
  const failed = checks.filter((c) => c.level === 'fail').length;
  const verdict =
    failed === 0
      ? style.good('Pods can run here.')
      : style.bad(`Pods cannot run here: ${failed} of ${checks.length} checks failed.`);
  return [...lines, '', verdict];
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) throw new InvalidArgumentError('it must be a port, 1 to 65535.');
  return port;
}
