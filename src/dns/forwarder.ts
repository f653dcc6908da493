import type { Clock } from '../lib/clock.ts';
import { isAbort, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Exchange } from './exchange.ts';
import { type Message, type Question, RCODE } from './message.ts';
import { ReplyCache } from './reply-cache.ts';
import { emptyReply, type ForwardOptions, PAYLOAD_SIZE, type Reply } from './resolver.ts';

/** A server that is silent for so long is not waited for alone any more: the next one is asked as well. */
const NEXT_SERVER_MS = 1000;
/** Before a client's own patience ends, which is mostly 5 s. */
const TIMEOUT_MS = 4500;
/** Each question is sent so often at least: datagrams get lost. */
const MIN_ATTEMPTS = 3;
/** Questions on their way at once; more is somebody's mistake. */
const MAX_IN_FLIGHT = 1000;

/** The resolvers to ask, best first. Called for each question that is asked. */
export type Servers = () => Promise<readonly string[]>;

/**
 * Asks the host's resolvers, and remembers what they say. A question that is on its way already is not sent again but waits for the
 * same answer; so a loop of resolvers that leads back to us ends here instead of going round.
 */
export class Forwarder {
  private readonly servers: Servers;
  private readonly exchange: Exchange;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly logger: Logger;
  private readonly cache = new ReplyCache();
  private readonly inFlight = new Map<string, Promise<Reply>>();
  private known = '';
  /** The server that answered last, which the next question goes to first. */
  private preferred: string | undefined;

  constructor(options: {
    readonly servers: Servers;
    readonly exchange: Exchange;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
  }) {
    this.servers = options.servers;
    this.exchange = options.exchange;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
  }

  /** Never rejects: without an answer the reply is SERVFAIL. */
  async resolve(question: Question, options: ForwardOptions): Promise<Reply> {
    const { name, type, class: questionClass } = question;
    const { dnssecOk, checkingDisabled } = options;
    const key = [name.toLowerCase(), type, questionClass, dnssecOk, checkingDisabled].join('\n');
    const servers = await this.currentServers();
    const known = this.cache.get(key, this.clock.monotonic()) ?? this.inFlight.get(key);
    if (known) return known;
    if (servers.length === 0 || this.inFlight.size >= MAX_IN_FLIGHT) return emptyReply(RCODE.SERVFAIL);
    const asking = this.ask(servers, this.queryFor(question, options));
    this.inFlight.set(key, asking);
    const reply = await asking;
    this.inFlight.delete(key);
    this.cache.put(key, reply, this.clock.monotonic());
    return reply;
  }

  /** Other servers may know another world: nothing that the old ones said is kept. */
  private async currentServers(): Promise<readonly string[]> {
    const servers = await this.servers();
    if (servers.join() !== this.known) {
      this.known = servers.join();
      this.cache.clear();
    }
    const first = servers.filter((server) => server === this.preferred);
    return [...first, ...servers.filter((server) => server !== this.preferred)];
  }

  private queryFor(question: Question, { dnssecOk, checkingDisabled }: ForwardOptions): Message {
    return {
      id: Math.floor(this.random.float() * 65_536),
      isResponse: false,
      opcode: 0,
      authoritative: false,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: false,
      authenticData: false,
      checkingDisabled,
      rcode: 0,
      questions: [question],
      answers: [],
      authorities: [],
      additionals: [],
      edns: { payloadSize: PAYLOAD_SIZE, version: 0, dnssecOk },
    };
  }

  /** The first good answer of any server; the next one is asked when one fails or is silent. */
  private ask(servers: readonly string[], query: Message): Promise<Reply> {
    const attempts = Math.max(MIN_ATTEMPTS, servers.length);
    const given = new AbortController();
    return new Promise((resolve) => {
      let [sent, open] = [0, 0];
      let worst = emptyReply(RCODE.SERVFAIL);
      const end = (reply: Reply): void => {
        deadline.cancel();
        next.cancel();
        given.abort();
        resolve(reply);
      };
      const deadline = this.clock.setTimer(TIMEOUT_MS, () => end(worst));
      let next = { cancel: (): void => {} };
      const send = (): void => {
        next.cancel();
        if (sent >= attempts) {
          if (open === 0) end(worst);
          return;
        }
        const server = servers[sent % servers.length]!;
        sent++;
        open++;
        const onFailure = (why: string): void => {
          open--;
          if (given.signal.aborted) return;
          this.logger.debug({ server, question: query.questions[0], why }, 'a resolver does not answer');
          send();
        };
        this.exchange(server, query, given.signal).then(
          (response) => {
            if (response.rcode !== RCODE.NOERROR && response.rcode !== RCODE.NXDOMAIN) {
              worst = replyOf(response);
              return onFailure(`rcode ${response.rcode}`);
            }
            this.preferred = server;
            end(replyOf(response));
          },
          (error: unknown) => onFailure(isAbort(error) ? 'aborted' : messageOf(error)),
        );
        next = this.clock.setTimer(NEXT_SERVER_MS, send);
      };
      send();
    });
  }
}

function replyOf({ rcode, answers, authorities, additionals, authenticData }: Message): Reply {
  return { rcode, answers, authorities, additionals, authenticData };
}
