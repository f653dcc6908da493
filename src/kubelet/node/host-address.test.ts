import type { NetworkInterfaceInfo } from 'node:os';
import { expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { chooseHostAddress, HostAddress, type HostNetwork } from './host-address.ts';

function network(addresses: Record<string, string>, ...defaultRoutes: string[]): HostNetwork {
  const info = (address: string) =>
    ({ address, family: 'IPv4', internal: address.startsWith('127.') }) as NetworkInterfaceInfo;
  const interfaces = Object.fromEntries(
    Object.entries(addresses).map(([device, address]) => [device, [info(address)]]),
  );
  const routes = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'br\t0052FD0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    ...defaultRoutes.map((device) => `${device}\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0`),
  ];
  return { interfaces, routes: routes.map((line) => `${line}\n`).join('') };
}

const lo = '127.0.0.1';
it.each<[string, HostNetwork, string | undefined, string]>([
  ['the device of the default route', network({ lo, br: '10.0.0.1', eth: '192.0.2.2' }, 'eth'), undefined, '192.0.2.2'],
  [
    'the first of two',
    network({ lo, eth: '192.0.2.2', wifi: '198.51.100.2' }, 'wifi', 'eth'),
    undefined,
    '198.51.100.2',
  ],
  ['whatever it was before', network({ lo, eth: '192.0.2.3' }, 'eth'), '192.0.2.2', '192.0.2.3'],
  ['one without an address yet', network({ lo, eth: '192.0.2.2' }, 'wifi', 'eth'), undefined, '192.0.2.2'],
  ['no default route, and there was one', network({ lo, br: '10.0.0.1' }), '192.0.2.2', '192.0.2.2'],
  ['no default route ever', network({ lo, br: '10.0.0.1' }), undefined, '10.0.0.1'],
  ['nothing', network({ lo }), undefined, '127.0.0.1'],
])('chooses the address of the host: %s', (_what, host, before, expected) => {
  expect(chooseHostAddress(host, before)).toBe(expected);
});

it('follows the host, looking every 10 s', async () => {
  const clock = new FakeClock();
  let host = network({ lo, eth: '192.0.2.2' }, 'eth');
  let looks = 0;
  const address = new HostAddress(clock, () => {
    looks++;
    return host;
  });
  expect([address.current, address.current, looks]).toEqual(['192.0.2.2', '192.0.2.2', 1]);
  host = network({ lo, wifi: '198.51.100.2' }, 'wifi');
  await clock.advance(9999);
  expect(address.current).toBe('192.0.2.2');
  await clock.advance(1);
  expect([address.current, looks]).toEqual(['198.51.100.2', 2]);
});
