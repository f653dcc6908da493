import type { Random } from '../lib/random.ts';
import type { ClusterState } from './cluster-state.ts';
import { type ClusterZone, lookUp, zoneSoa } from './look-up.ts';
import { CLASS_IN, type Message, type Question, RCODE, type ResourceRecord, TYPE } from './message.ts';

/** What is known of a question, by us or by others. */
export interface Reply {
  readonly rcode: number;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** Said by a resolver that checked signatures. */
  readonly authenticData: boolean;
}

/** What a client wants of other resolvers. */
export interface ForwardOptions {
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

/** Asks other resolvers; never rejects: what fails is a Reply as well. */
export type Forward = (question: Question, options: ForwardOptions) => Promise<Reply>;

/** The largest datagram that passes any network whole (DNS flag day 2020), bytes. */
export const PAYLOAD_SIZE = 1232;
/** How many aliases of the cluster's are followed for one question. */
const MAX_ALIASES = 8;

/** A reply without records. */
export function emptyReply(rcode: number): Reply {
  return { rcode, answers: [], authorities: [], additionals: [], authenticData: false };
}

/** Answers queries: for the cluster's names from its state, for all others with what `forward` brings. */
export class Resolver {
  private readonly zone: ClusterZone;
  private readonly state: ClusterState;
  private readonly forward: Forward;
  private readonly random: Random;

  constructor(options: {
    readonly zone: ClusterZone;
    readonly state: ClusterState;
    readonly forward: Forward;
    readonly random: Random;
  }) {
    this.zone = options.zone;
    this.state = options.state;
    this.forward = options.forward;
    this.random = options.random;
  }

  async answer(query: Message): Promise<Message> {
    const refusal = refusalOf(query);
    if (refusal !== undefined) return respond(query, emptyReply(refusal));
    const { reply, isOurs } = await this.resolve(query.questions[0]!, {
      dnssecOk: query.edns?.dnssecOk ?? false,
      checkingDisabled: query.checkingDisabled,
    });
    return respond(query, { ...reply, answers: this.shuffled(reply.answers) }, isOurs);
  }

  private async resolve(question: Question, options: ForwardOptions): Promise<{ reply: Reply; isOurs: boolean }> {
    const aliases: ResourceRecord[] = [];
    let asked = question;
    for (;;) {
      const found = lookUp(asked, this.zone, this.state);
      if (found.kind === 'not-ours') {
        const reply = await this.forward(asked, options);
        return { reply: { ...reply, answers: [...aliases, ...reply.answers] }, isOurs: aliases.length > 0 };
      }
      if (found.kind !== 'alias') {
        const rcode = found.kind === 'no-such-name' ? RCODE.NXDOMAIN : RCODE.NOERROR;
        const { answers, additionals } = found.kind === 'records' ? found : emptyReply(rcode);
        const authorities = found.kind === 'records' ? [] : [zoneSoa(this.zone)];
        const reply = { rcode, answers: [...aliases, ...answers], authorities, additionals, authenticData: false };
        return { reply, isOurs: true };
      }
      aliases.push(found.alias);
      const isAnswer = question.type === TYPE.CNAME || question.type === TYPE.ANY;
      // A longer chain goes in a circle.
      const isEnd = isAnswer || aliases.length > MAX_ALIASES;
      const rcode = isAnswer ? RCODE.NOERROR : RCODE.SERVFAIL;
      if (isEnd) return { reply: { ...emptyReply(rcode), answers: aliases }, isOurs: true };
      asked = { ...question, name: found.target };
    }
  }

  /** Spreads the load over the addresses of a name: clients take the first. Aliases stay before what they lead to. */
  private shuffled(answers: readonly ResourceRecord[]): ResourceRecord[] {
    const isMoved = ({ type }: ResourceRecord): boolean => type === TYPE.A || type === TYPE.AAAA || type === TYPE.SRV;
    const moved = answers.filter(isMoved);
    for (let i = moved.length - 1; i > 0; i--) {
      const j = Math.floor(this.random.float() * (i + 1));
      [moved[i], moved[j]] = [moved[j]!, moved[i]!];
    }
    return answers.map((record) => (isMoved(record) ? moved.pop()! : record));
  }
}

/** Why a query gets no answer, as an rcode; undefined when it gets one. */
function refusalOf({ opcode, questions, answers, authorities, edns }: Message): number | undefined {
  if (opcode !== 0) return RCODE.NOTIMP;
  if (questions.length !== 1 || answers.length > 0 || authorities.length > 0) return RCODE.FORMERR;
  if (edns && edns.version !== 0) return RCODE.BADVERS;
  const [{ type, class: questionClass }] = questions as [Question];
  if (questionClass !== CLASS_IN || type === TYPE.AXFR || type === TYPE.IXFR) return RCODE.REFUSED;
  return undefined;
}

/** The response to a query. */
export function respond(query: Message, reply: Reply, authoritative = false): Message {
  return {
    id: query.id,
    isResponse: true,
    opcode: query.opcode,
    authoritative,
    truncated: false,
    recursionDesired: query.recursionDesired,
    recursionAvailable: true,
    authenticData: reply.authenticData,
    checkingDisabled: query.checkingDisabled,
    rcode: reply.rcode,
    questions: query.questions,
    answers: reply.answers,
    authorities: reply.authorities,
    additionals: reply.additionals,
    edns: query.edns && { payloadSize: PAYLOAD_SIZE, version: 0, dnssecOk: query.edns.dnssecOk },
  };
}
