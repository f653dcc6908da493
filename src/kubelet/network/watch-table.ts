import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '../../lib/clock.ts';
import { isMissing, NFT_ENV, type RunNft, runNft } from '../../lib/nft.ts';

export interface WatchTableOptions {
  readonly table: string;
  /** Before it a table that is lost is nobody's loss, and looking now and then is enough: who listens takes 4 MB. */
  readonly firstPod: Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly nft?: RunNft;
}

/** nft itself would not notice that we died, until there is something to tell us: so the kernel ends it then. */
const NEWS = ['--pdeathsig', 'KILL', 'nft', 'monitor', 'destroy', 'tables'];
/** How often to look when nothing was heard: the kernel drops news for those who read too slowly. */
const LOOK_PERIOD_MS = 30_000;

/**
 * Calls `onLost` whenever somebody has removed the instance's table, as `nft flush ruleset` does, which many firewalls start with:
 * at once by the kernel's news, and by a look now and then. Runs until the signal aborts; never rejects.
 */
export async function watchTable(
  { table, firstPod, clock, signal, nft = runNft }: WatchTableOptions,
  onLost: () => Promise<void>,
): Promise<void> {
  let wake = (): void => {};
  void firstPod.then(() => {
    if (!signal.aborted) listen(table, signal, () => wake());
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  while (!signal.aborted) {
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(LOOK_PERIOD_MS, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
    if (!signal.aborted && (await isLost(nft, table))) await onLost().catch(() => {});
  }
}

/** Calls `onNews` when the kernel says that the table was removed, until the signal aborts. */
function listen(table: string, signal: AbortSignal, onNews: () => void): void {
  const news = spawn('setpriv', NEWS, { stdio: ['ignore', 'pipe', 'ignore'], env: NFT_ENV });
  news.on('error', () => {});
  createInterface({ input: news.stdout }).on('line', (line) => {
    if (line === `delete table ip ${table}`) onNews();
  });
  signal.addEventListener('abort', () => news.kill(), { once: true });
}

async function isLost(nft: RunNft, table: string): Promise<boolean> {
  try {
    // A table that was flushed still has its chains, but no rule in them.
    return !(await nft(['list', 'chain', 'ip', table, 'guard'])).includes(' drop');
  } catch (error) {
    return isMissing(error);
  }
}
