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
  expect(resolveServiceCIDR(standard, '10.88.0.0/16', [])).toBe('10.96.0.0/16');
});

test('any other has one of its own, the same each time', () => {
  const network = inOthers(resolveServiceCIDR(other, '10.200.0.0/24', []));
  expect(resolveServiceCIDR(other, '10.200.0.0/24', [])).toBe(network);
  expect(resolveServiceCIDR(instanceLayout('/tmp/another'), '10.200.0.0/24', [])).not.toBe(network);
});

test('it overlaps neither the pods nor a route of the host', () => {
  const first = resolveServiceCIDR(other, '192.168.0.0/24', []);
  const second = inOthers(resolveServiceCIDR(other, first, []));
  expect(second).not.toBe(first);
  const route = { device: 'eth0', cidr: parseCidr(second)!, metric: 0 };
  expect([first, second]).not.toContain(inOthers(resolveServiceCIDR(other, first, [route])));
  inOthers(
    resolveServiceCIDR(standard, '10.88.0.0/16', [{ device: 'eth0', cidr: parseCidr('10.96.4.0/24')!, metric: 0 }]),
  );
});

test("the instance's own bridge does not count", () => {
  const route = { device: standard.bridge, cidr: parseCidr('10.96.0.10/32')!, metric: 0 };
  expect(resolveServiceCIDR(standard, '10.88.0.0/16', [route])).toBe('10.96.0.0/16');
});

test('no network left', () => {
  const all = { device: 'eth0', cidr: parseCidr('10.0.0.0/8')!, metric: 0 };
  expect(() => resolveServiceCIDR(other, '192.168.0.0/24', [all])).toThrow('no free network for Services');
});
