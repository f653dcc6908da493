/**
 * Answers one DNS query (RFC 1035): an address record for the names in `hosts`, "no such name" for all others, and an empty answer
 * for other record types of a known name. Undefined when the message is not a query that can be read.
 * @param hosts IPv4 addresses by name in lower case
 */
export function dnsAnswer(query: Buffer, hosts: ReadonlyMap<string, string>): Buffer | undefined {
  const isQuery = query.length >= 12 && (query[2]! & 0x80) === 0 && query.readUInt16BE(4) === 1;
  if (!isQuery) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]; length !== 0; length = query[at]) {
    if (length === undefined || length > 63) return undefined;
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const endOfQuestion = at + 5;
  if (endOfQuestion > query.length) return undefined;
  const type = query.readUInt16BE(at + 1);
  const address = hosts.get(labels.join('.'));

  const header = Buffer.from(query.subarray(0, 12));
  const answers = address !== undefined && type === TYPE_A ? 1 : 0;
  header[2] = 0x84 | (query[2]! & 0x01); // an authoritative response; recursion desired as asked
  header[3] = 0x80 | (address === undefined ? NAME_ERROR : 0); // recursion available
  header.writeUInt16BE(answers, 6);
  header.fill(0, 8);
  const question = query.subarray(12, endOfQuestion);
  if (answers === 0) return Buffer.concat([header, question]);
  // The name as a pointer to the question; type A, class IN, 30 s, 4 bytes.
  const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 30, 0, 4, ...address!.split('.').map(Number)]);
  return Buffer.concat([header, question, record]);
}

const TYPE_A = 1;
const NAME_ERROR = 3;
