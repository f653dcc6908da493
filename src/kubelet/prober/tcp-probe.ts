import type { TCPSocketAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { onAbort } from '../../lib/on-abort.ts';
import type { Attempt, AttemptInput } from './attempt.ts';
import { Connection } from './connection.ts';
import { dialWords } from './dial-words.ts';
import { joinHostPort, resolvePort } from './probe-target.ts';

/** Connecting is success. The connection is reset at once: a close would leave a TIME_WAIT per check behind. */
export function tcpProbe(action: TCPSocketAction, input: AttemptInput, clock: Clock): Promise<Attempt> {
  const host = action.host || input.podIP!;
  const port = resolvePort(action.port, input.container);
  const address = joinHostPort(host, port);
  return new Promise((resolve) => {
    const finish = (attempt: Attempt): void => {
      timer.cancel();
      ignoreAbort();
      connection.reset();
      resolve(attempt);
    };
    const timer = clock.setTimer(input.timeoutMs, () =>
      finish({ outcome: 'failure', output: `dial tcp ${address}: i/o timeout`, ownTime: true }),
    );
    const ignoreAbort = onAbort(input.signal, () => finish({ outcome: 'error', output: 'aborted' }));
    const connection = Connection.open(host, port, {
      connected: () => finish({ outcome: 'success', output: '' }),
      received: () => {},
      ended: () => {},
      failed: (error) => {
        const refused = errnoOf(error) === 'ECONNREFUSED';
        finish({ outcome: 'failure', output: dialWords(error, host, address), refused });
      },
    });
  });
}
