import { expect, test } from 'vitest';
import { type Logger, silentLogger } from './logger.ts';
import { UdpFlows } from './udp-flows.ts';

const flow = (address: string, port: number, replyFrom: string, replyPort: number): string =>
  `udp      17 29 src=10.88.0.9 dst=${address} sport=4000 dport=${port} [UNREPLIED] src=${replyFrom} dst=10.88.0.9 sport=${replyPort} dport=4000 mark=0 use=1\n`;

function setUp(answer: (args: readonly string[]) => string = () => '') {
  const asked: string[] = [];
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_, text) => void warnings.push(text) };
  const flows = new UdpFlows(logger, {
    conntrack: async (args) => {
      asked.push(args.join(' '));
      return answer(args);
    },
    addresses: () => ['192.0.2.1'],
  });
  return { flows, asked, warnings };
}

test('flows to endpoints that are gone', async () => {
  const { flows, asked } = setUp();
  await flows.forget(['10.88.0.2 . 53', '10.88.0.3 . 53']);
  expect(asked).toEqual([
    '-D -p udp --reply-src 10.88.0.2 --reply-port-src 53',
    '-D -p udp --reply-src 10.88.0.3 --reply-port-src 53',
  ]);
});

test('flows to frontends that lead to none of their endpoints, each kind once', async () => {
  const { flows, asked } = setUp(
    (args) =>
      ({
        '53': [
          flow('10.96.0.7', 53, '10.96.0.7', 53),
          flow('10.96.0.7', 53, '10.96.0.7', 53),
          flow('10.96.0.7', 53, '10.88.0.2', 5353),
          flow('10.96.0.7', 53, '10.88.0.4', 5353),
          flow('192.0.2.53', 53, '192.0.2.53', 53),
        ].join(''),
        '30053': [
          flow('192.0.2.1', 30_053, '192.0.2.1', 30_053),
          flow('127.0.0.1', 30_053, '10.88.0.3', 5353),
          // Through the host, to somebody else.
          flow('198.51.100.1', 30_053, '198.51.100.1', 30_053),
        ].join(''),
      })[args.at(-1)!] ?? '',
  );
  const targets = ['10.88.0.2 . 5353', '10.88.0.3 . 5353'];
  await flows.forgetStrays(
    new Map([
      ['10.96.0.7 . udp . 53', targets],
      ['udp . 30053', targets],
      ['10.96.0.8 . udp . 54', []],
      ['10.96.0.7 . tcp . 55', targets],
    ]),
  );
  expect(asked).toEqual([
    '-L -f ipv4 -p udp --orig-port-dst 53',
    '-D -p udp --orig-dst 10.96.0.7 --orig-port-dst 53 --reply-src 10.96.0.7 --reply-port-src 53',
    '-D -p udp --orig-dst 10.96.0.7 --orig-port-dst 53 --reply-src 10.88.0.4 --reply-port-src 5353',
    '-L -f ipv4 -p udp --orig-port-dst 30053',
    '-D -p udp --orig-dst 192.0.2.1 --orig-port-dst 30053 --reply-src 192.0.2.1 --reply-port-src 30053',
  ]);
});

test('flows that are gone already are fine; other failures are told; without conntrack once', async () => {
  const failures = ['conntrack v1.4.7: 0 flow entries have been deleted.', 'no right', { code: 'ENOENT' }];
  const { flows, asked, warnings } = setUp(() => {
    const failure = failures.shift();
    throw typeof failure === 'string' ? new Error(failure) : Object.assign(new Error('none'), failure);
  });
  await flows.forget(['10.88.0.1 . 1', '10.88.0.2 . 1', '10.88.0.3 . 1', '10.88.0.4 . 1']);
  expect(asked).toHaveLength(3);
  expect(warnings).toEqual(['stale UDP flows are not ended', expect.stringMatching(/^conntrack is not installed/)]);
});
