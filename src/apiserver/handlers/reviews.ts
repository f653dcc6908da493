import { formatTime } from '../../api/time.ts';
import type { User } from '../auth/access.ts';
import type { Exchange } from './exchange.ts';
import { negotiate } from './negotiate.ts';
import { bodyValue } from './request-body.ts';

/** Who am I, and may I: objects that are answered and not kept. @param now wall time, ms since the epoch */
export const REVIEWS: Readonly<Record<string, (exchange: Exchange, user: User, now: number) => Promise<void>>> = {
  'authentication.k8s.io/selfsubjectreviews': (exchange, user, now) =>
    exchange.send(
      201,
      {
        kind: 'SelfSubjectReview',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { creationTimestamp: formatTime(now) },
        status: { userInfo: { username: user.name, groups: user.groups } },
      },
      negotiate(exchange.header('accept'), 'objects'),
    ),

  // Whoever gets here is an administrator: there are no other roles yet.
  'authorization.k8s.io/selfsubjectaccessreviews': async (exchange) => {
    const { spec = {} } = ((await bodyValue(exchange)) ?? {}) as { spec?: object };
    return exchange.send(
      201,
      {
        kind: 'SelfSubjectAccessReview',
        apiVersion: 'authorization.k8s.io/v1',
        metadata: {},
        spec,
        status: { allowed: true },
      },
      negotiate(exchange.header('accept'), 'objects'),
    );
  },
};
