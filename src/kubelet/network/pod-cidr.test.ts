import { describe, expect, test } from 'vitest';
import { UserError } from '../../lib/errors.ts';
import { instanceLayout } from '../../lib/instance.ts';
import { formatCidr, overlaps, parseCidr, parseIPv4 } from '../../lib/ipv4.ts';
import { defaultPodCIDR, parseRoutes, type Route, resolvePodCIDR } from './pod-cidr.ts';

const net = (text: string) => parseCidr(text)!;
const main = instanceLayout();
const other = instanceLayout('/tmp/x');
const route = (device: string, text: string, metric = 0): Route => ({ device, cidr: net(text), metric });

test.each(['1.2.3', '1.2.3.256', '01.2.3.4', 'a.b.c.d', '', '::1'])('%s is no address', (text) => {
  expect(parseIPv4(text)).toBeUndefined();
});

test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', 'x/8'])(
  '%s is no network',
  (text) => {
    expect(parseCidr(text)).toBeUndefined();
  },
);

test.each([
  ['10.88.0.0/16', '10.88.3.0/24', true],
  ['10.88.3.0/24', '10.0.0.0/8', true],
  ['10.88.0.0/16', '10.89.0.0/16', false],
  ['192.168.0.0/17', '192.168.128.0/17', false],
  ['0.0.0.0/0', '255.0.0.0/8', true],
])('%s and %s overlap: %s', (a, b, yes) => {
  expect(overlaps(net(a), net(b))).toBe(yes);
  expect(overlaps(net(b), net(a))).toBe(yes);
});

test('routes of the host', () => {
  const text = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0102A8C0	0003	0	0	0	00000000	0	0	0
eth0	0002A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
`;
  expect(parseRoutes(text).map(({ device, cidr }) => `${device} ${formatCidr(cidr)}`)).toEqual([
    'eth0 192.168.2.0/24',
    'docker0 172.17.0.0/16',
  ]);
  expect(parseRoutes('')).toEqual([]);
});

describe('the default', () => {
  test('is 10.88.0.0/16, or the next that is free', () => {
    expect(defaultPodCIDR(main, [])).toBe('10.88.0.0/16');
    expect(defaultPodCIDR(main, [net('10.88.5.0/24'), net('10.89.0.0/16')])).toBe('10.90.0.0/16');
  });

  test('of another instance is its own /24 in 10.128.0.0/9', () => {
    const first = defaultPodCIDR(other, []);
    expect(first).toMatch(/\/24$/);
    expect(overlaps(net(first), net('10.128.0.0/9'))).toBe(true);
    expect(defaultPodCIDR(other, [])).toBe(first);
    expect(defaultPodCIDR(instanceLayout('/tmp/y'), [])).not.toBe(first);
    expect(defaultPodCIDR(other, [net(first)])).not.toBe(first);
  });

  test('is there as long as anything is free', () => {
    expect(defaultPodCIDR(main, [net('10.88.0.0/13')])).toMatch(/^10\.\d+\.\d+\.0\/24$/);
    expect(() => defaultPodCIDR(other, [net('10.0.0.0/8')])).toThrow(UserError);
  });
});

describe('the network to use', () => {
  test("keeps the standing bridge's, whatever else came up", () => {
    const routes = [route('kubelette0', '10.90.0.0/16'), route('tun0', '10.90.1.0/24')];
    expect(resolvePodCIDR(main, undefined, routes)).toBe('10.90.0.0/16');
  });

  test("is not that of the Services, which is the bridge's too", () => {
    const routes = [route(main.bridge, '10.80.0.0/16', 1000), route(main.bridge, '10.90.0.0/16')];
    expect(resolvePodCIDR(main, undefined, routes)).toBe('10.90.0.0/16');
  });

  test("is the user's choice", () => {
    expect(resolvePodCIDR(main, '192.168.7.0/24', [route('kubelette0', '192.168.7.0/24')])).toBe('192.168.7.0/24');
  });

  test.each([
    ['banana', '--pod-cidr "banana": not an IPv4 network (such as 10.88.0.0/16)'],
    ['10.88.0.0', '--pod-cidr "10.88.0.0": not an IPv4 network (such as 10.88.0.0/16)'],
    ['10.88.0.1/16', '--pod-cidr "10.88.0.1/16": not a network\'s address; did you mean 10.88.0.0/16?'],
    ['10.88.0.0/30', '--pod-cidr "10.88.0.0/30": the prefix must be from /8 to /29'],
    ['0.0.0.0/0', '--pod-cidr "0.0.0.0/0": the prefix must be from /8 to /29'],
    ['127.0.0.0/24', '--pod-cidr "127.0.0.0/24": overlaps 127.0.0.0/8, loopback addresses'],
    ['0.0.0.0/8', '--pod-cidr "0.0.0.0/8": overlaps 0.0.0.0/8, addresses of no host'],
    ['169.254.0.0/16', '--pod-cidr "169.254.0.0/16": overlaps 169.254.0.0/16, link-local addresses'],
    ['239.1.0.0/16', '--pod-cidr "239.1.0.0/16": overlaps 224.0.0.0/4, multicast addresses'],
    ['172.16.0.0/12', '--pod-cidr "172.16.0.0/12": overlaps the route 172.17.0.0/16 of this host (device docker0)'],
  ])('refuses %s', (wanted, message) => {
    expect(() => resolvePodCIDR(main, wanted, [route('docker0', '172.17.0.0/16')])).toThrow(new UserError(message));
  });
});
