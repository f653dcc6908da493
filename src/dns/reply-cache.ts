import { RCODE, type ResourceRecord, TYPE } from './message.ts';
import { negativeTtl } from './records.ts';
import type { Reply } from './resolver.ts';

/** How many questions are remembered. */
const MAX_ENTRIES = 10_000;
/** The longest that an answer, and a "no", is believed, seconds: a laptop changes networks, and its world with them. */
const MAX_TTL = 300;
const MAX_NEGATIVE_TTL = 30;
/** A failure is remembered too, so that a client's retries do not add to the trouble (RFC 9520). */
const FAILURE_TTL = 1;

interface Entry {
  readonly reply: Reply;
  /** Monotonic, ms. */
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** Other resolvers' replies for as long as they may be believed; at most so many, the least recently used go first. */
export class ReplyCache {
  private readonly entries = new Map<string, Entry>();

  /** The reply with what is left of its times. @param now monotonic, ms */
  get(key: string, now: number): Reply | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    if (entry.expiresAt <= now) return undefined;
    this.entries.set(key, entry);
    const age = Math.floor((now - entry.storedAt) / 1000);
    return withTtls(entry.reply, (ttl) => Math.max(0, ttl - age));
  }

  /** @param now monotonic, ms */
  put(key: string, reply: Reply, now: number): void {
    const ttl = timeToLive(reply);
    if (ttl <= 0) return;
    const kept = withTtls(reply, (value) => Math.min(value, MAX_TTL));
    this.entries.delete(key);
    this.entries.set(key, { reply: kept, storedAt: now, expiresAt: now + ttl * 1000 });
    if (this.entries.size > MAX_ENTRIES) this.entries.delete(this.entries.keys().next().value!);
  }

  clear(): void {
    this.entries.clear();
  }
}

/** How long a reply may be kept, seconds. */
function timeToLive({ rcode, answers, authorities }: Reply): number {
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return FAILURE_TTL;
  const soa = authorities.find(({ type }) => type === TYPE.SOA);
  // Without an SOA a "no" says nothing about how long it holds (RFC 2308, section 5).
  const isNo = rcode === RCODE.NXDOMAIN || answers.every(({ type }) => type === TYPE.CNAME);
  const negative = isNo && soa ? [Math.min(negativeTtl(soa), MAX_NEGATIVE_TTL)] : [];
  if (negative.length === 0 && (rcode === RCODE.NXDOMAIN || answers.length === 0)) return 0;
  return Math.min(MAX_TTL, ...negative, ...answers.map(({ ttl }) => ttl));
}

function withTtls(reply: Reply, change: (ttl: number) => number): Reply {
  const changed = (records: readonly ResourceRecord[]): ResourceRecord[] =>
    records.map((record) => ({ ...record, ttl: change(record.ttl) }));
  return {
    ...reply,
    answers: changed(reply.answers),
    authorities: changed(reply.authorities),
    additionals: changed(reply.additionals),
  };
}
