import type { Clock } from '../lib/clock.ts';
import { CriError } from './cri-error.ts';
import { ListStatusesRequest, ListStatusesResponse, type Status } from './generated/containerd-content.ts';
import type { Rpc } from './grpc/codec.ts';
import type { GrpcClient } from './grpc/grpc-client.ts';
import { CONTAINERD_NAMESPACE } from './runtime-events.ts';

/** Bytes of what is being fetched. `totalBytes` grows as the runtime learns what belongs to an image. */
export interface PullProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

const LIST_STATUSES: Rpc<ListStatusesRequest, ListStatusesResponse> = {
  path: '/containerd.services.content.v1.Content/ListStatuses',
  request: ListStatusesRequest,
  response: ListStatusesResponse,
};

const INTERVAL_MS = 200;

/**
 * Asks containerd's content store for the transfers under way, every 200 ms until the signal aborts, and reports when their sum
 * changed. Never rejects: progress is a courtesy, and what is wrong with a pull the pull itself says.
 */
export async function watchContent(
  grpc: GrpcClient,
  clock: Clock,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const sum = new PullSum();
  let told = '';
  while (!signal.aborted) {
    try {
      const options = { signal, timeoutMs: 5000, metadata: CONTAINERD_NAMESPACE };
      const { statuses } = await grpc.unary(LIST_STATUSES, { filters: [] }, options);
      const progress = sum.add(statuses);
      const key = `${progress.doneBytes}/${progress.totalBytes}`;
      if (progress.totalBytes > 0 && key !== told) onProgress(progress);
      told = key;
    } catch (error) {
      if (error instanceof CriError && error.code === 'UNIMPLEMENTED') return;
    }
    await clock.sleep(INTERVAL_MS, signal).catch(() => {});
  }
}

/** Adds up transfers over time: one that is no longer listed has finished. */
export class PullSum {
  private readonly transfers = new Map<string, { done: number; total: number }>();

  /** Takes what is under way now; returns the sum over all that has been seen. */
  add(statuses: readonly Pick<Status, 'ref' | 'offset' | 'total'>[]): PullProgress {
    for (const transfer of this.transfers.values()) transfer.done = transfer.total;
    for (const { ref, offset, total } of statuses) {
      this.transfers.set(ref, { done: Number(offset), total: Math.max(Number(total), Number(offset)) });
    }
    const transfers = [...this.transfers.values()];
    return {
      doneBytes: transfers.reduce((sum, t) => sum + t.done, 0),
      totalBytes: transfers.reduce((sum, t) => sum + t.total, 0),
    };
  }
}
