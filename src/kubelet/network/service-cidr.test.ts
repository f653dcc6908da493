import { expect, test } from 'vitest';
import { DEFAULT_ROOT_DIR, instanceLayout } from '../../lib/instance.ts';
import { overlaps, parseCidr } from '../../lib/ipv4.ts';
import { resolveServiceCIDR } from './service-cidr.ts';

const standard = instanceLayout(DEFAULT_ROOT_DIR);
const other = instanceLayout('/tmp/other');
const inOthers = (network: string) => {
  expect(network).toMatch(/^10\.\d+\.\d+\.0\/24$/);
  expect(overlaps(parseCidr(network)!, parseCidr('10.128.0.0/9')!)).toBe(true);
  return network;
};

test('the default instance has the usual network', () => {
  expect(resolveServiceCIDR(standard, '10.88.0.0/16', undefined, [])).toBe('10.96.0.0/16');
});

test('any other has one of its own, the same each time', () => {
  const network = inOthers(resolveServiceCIDR(other, '10.200.0.0/24', undefined, []));
  expect(resolveServiceCIDR(other, '10.200.0.0/24', undefined, [])).toBe(network);
  expect(resolveServiceCIDR(instanceLayout('/tmp/another'), '10.200.0.0/24', undefined, [])).not.toBe(network);
});

test('it overlaps neither the pods nor a route of the host', () => {
  const first = resolveServiceCIDR(other, '192.168.0.0/24', undefined, []);
  const second = inOthers(resolveServiceCIDR(other, first, undefined, []));
  expect(second).not.toBe(first);
  const route = { device: 'eth0', cidr: parseCidr(second)!, metric: 0 };
  expect([first, second]).not.toContain(inOthers(resolveServiceCIDR(other, first, undefined, [route])));
  inOthers(
    resolveServiceCIDR(standard, '10.88.0.0/16', undefined, [
      { device: 'eth0', cidr: parseCidr('10.96.4.0/24')!, metric: 0 },
    ]),
  );
});

test("the instance's own bridge does not count", () => {
  const route = { device: standard.bridge, cidr: parseCidr('10.96.0.10/32')!, metric: 0 };
  expect(resolveServiceCIDR(standard, '10.88.0.0/16', undefined, [route])).toBe('10.96.0.0/16');
});

test('no network left', () => {
  const all = { device: 'eth0', cidr: parseCidr('10.0.0.0/8')!, metric: 0 };
  expect(() => resolveServiceCIDR(other, '192.168.0.0/24', undefined, [all])).toThrow('no free network for Services');
});

test.each([
  ['10.96.0.0', 'not an IPv4 network (such as 10.96.0.0/16)'],
  ['10.96.0.0/29', 'the prefix must be from /12 to /28'],
  ['10.96.0.1/24', "not a network's address; did you mean 10.96.0.0/24?"],
  ['127.1.0.0/24', 'overlaps 127.0.0.0/8, loopback addresses'],
  ['224.0.0.0/24', 'overlaps 224.0.0.0/4, multicast addresses'],
  ['10.88.4.0/24', "overlaps the pods' network or a route of this host"],
  ['192.168.7.0/24', "overlaps the pods' network or a route of this host"],
])('--service-cidr %s is refused: %s', (wanted, why) => {
  const route = { device: 'eth0', cidr: parseCidr('192.168.0.0/16')!, metric: 0 };
  expect(() => resolveServiceCIDR(standard, '10.88.0.0/16', wanted, [route])).toThrow(
    `--service-cidr "${wanted}": ${why}`,
  );
});

test('--service-cidr is taken as it is', () => {
  expect(resolveServiceCIDR(standard, '10.88.0.0/16', '172.30.0.0/20', [])).toBe('172.30.0.0/20');
});
