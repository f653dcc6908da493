import { stopInstance } from '../agent/stop-instance.ts';
import { instanceLayout } from '../lib/instance.ts';
import type { CliContext } from './context.ts';

/** `kubelette down`: everything of the instance is gone afterwards, but for its root directory unless `purge`. */
export async function runDown(rootDir: string, purge: boolean, context: CliContext): Promise<void> {
  const found = await stopInstance(instanceLayout(rootDir), {
    purge,
    clock: context.clock,
    onProgress: (text) => context.stderr.write(`${text}\n`),
  });
  context.stdout.write(found ? `${rootDir}: stopped${purge ? ' and deleted' : ''}\n` : `${rootDir}: nothing runs\n`);
}
