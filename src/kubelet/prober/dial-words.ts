import { errnoOf, messageOf } from '../../lib/errors.ts';

const ERRNO_WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  ECONNRESET: 'connection reset by peer',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPIPE: 'broken pipe',
};

/** Why a connection to `address` (host:port) was not made, in the words of Go's net package, which the kubelet's events show. */
export function dialWords(error: unknown, host: string, address: string): string {
  const errno = errnoOf(error);
  if (errno === 'ENOTFOUND' || errno === 'EAI_AGAIN' || errno === 'ENODATA') {
    return `dial tcp: lookup ${host}: ${errno === 'EAI_AGAIN' ? 'server misbehaving' : 'no such host'}`;
  }
  return `dial tcp ${address}: connect: ${(errno && ERRNO_WORDS[errno]) || messageOf(error)}`;
}

/** Why an established connection broke, in Go's words. A peer that just closed is `EOF`. */
export function brokenWords(error: unknown, local: string, address: string): string {
  const syscall = (error as NodeJS.ErrnoException).syscall;
  const words = ERRNO_WORDS[errnoOf(error) ?? ''];
  if (syscall && words) return `${syscall} tcp ${local}->${address}: ${syscall}: ${words}`;
  return errnoOf(error) === 'ECONNRESET' ? 'EOF' : messageOf(error);
}
