import type { SelfSubjectAccessReviewSpec } from '../../api/generated/types.ts';
import { formatTime } from '../../api/time.ts';
import { isAllowed, type User } from '../auth/access.ts';
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
        status: { userInfo: userInfo(user) },
      },
      negotiate(exchange.header('accept'), 'objects'),
    ),

  'authorization.k8s.io/selfsubjectaccessreviews': async (exchange, user) => {
    const { spec = {} } = ((await bodyValue(exchange)) ?? {}) as { spec?: SelfSubjectAccessReviewSpec };
    const { resourceAttributes, nonResourceAttributes } = spec;
    const { verb = '', group = '', resource = '' } = resourceAttributes ?? {};
    const allowed = resourceAttributes
      ? isAllowed(user, { isResource: true, verb, group, plural: resource })
      : isAllowed(user, {
          isResource: false,
          verb: nonResourceAttributes?.verb ?? '',
          path: nonResourceAttributes?.path ?? '',
        });
    return exchange.send(
      201,
      {
        kind: 'SelfSubjectAccessReview',
        apiVersion: 'authorization.k8s.io/v1',
        metadata: {},
        spec,
        status: { allowed },
      },
      negotiate(exchange.header('accept'), 'objects'),
    );
  },
};

function userInfo({ name, uid, groups, extra }: User): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}
