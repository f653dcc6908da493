import { describe, expect, test } from 'vitest';
import type { FieldError } from './field-error.ts';
import { validateCanonicalIP, validateCIDR, validateEndpointIP, validateExternalIP, validateIP } from './ip-address.ts';

type Rule = (value: string, path: string, errors: FieldError[]) => unknown;
function detailsOf(rule: Rule, value: string): string[] {
  const errors: FieldError[] = [];
  rule(value, 'ip', errors);
  return errors.map(({ detail }) => detail);
}

const NO_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const NO_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

describe('addresses', () => {
  test.each<[string, string[]]>([
    ['10.9.8.7', []],
    ['0.0.0.0', []],
    ['2001:db8::ffff', []],
    ['2001:0db8:0:0:0:0:0:0', []],
    ['::', []],
    ['64:ff9b::1.2.3.4', []],
    ['', [NO_IP]],
    ['None', [NO_IP]],
    ['1.2.3', [NO_IP]],
    ['1.2.3.256', [NO_IP]],
    ['fe80::1%eth0', [NO_IP]],
    ['1.2.3.4/32', [NO_IP]],
    ['010.2.3.4', ['must not have leading 0s']],
    ['1.2.3.04', ['must not have leading 0s']],
    ['::ffff:1.2.3.4', ['must not be an IPv4-mapped IPv6 address']],
  ])('%s', (value, details) => {
    expect(detailsOf(validateIP, value)).toEqual(details);
  });

  test('what is stored stays', () => {
    const errors: FieldError[] = [];
    expect(validateIP('010.2.3.4', 'ip', errors, ['010.2.3.4'])).toBe(true);
    validateCIDR('10.0.0.1/8', 'cidr', errors, ['10.0.0.1/8']);
    expect(errors).toEqual([]);
  });

  test.each<[string, string[]]>([
    ['2001:db8::1', []],
    ['10.0.0.1', []],
    ['2001:DB8:0::1', ['must be in canonical form ("2001:db8::1")']],
    ['x', [NO_IP]],
  ])('in canonical form: %s', (value, details) => {
    expect(detailsOf(validateCanonicalIP, value)).toEqual(details);
  });
});

describe('networks', () => {
  test.each<[string, string[]]>([
    ['10.0.0.0/8', []],
    ['0.0.0.0/0', []],
    ['203.0.113.7/32', []],
    ['2001:db8::/64', []],
    ['::1/128', []],
    ['203.0.113.0/33', [NO_CIDR]],
    ['2001:db8::/129', [NO_CIDR]],
    ['bogus', [NO_CIDR]],
    ['10.0.0.0', [NO_CIDR]],
    ['10.0.0.0/', [NO_CIDR]],
    ['10.0.0.0/8/8', [NO_CIDR]],
    ['10.0.0.0/8 10.1.0.0/16', [NO_CIDR]],
    ['10.0.0.0/08', ['must not have leading 0s in IP or prefix length']],
    ['010.0.0.0/8', ['must not have leading 0s in IP or prefix length']],
    ['::ffff:1.2.3.0/120', ['must not have an IPv4-mapped IPv6 address']],
    ['10.0.0.1/8', ['must not have bits set beyond the prefix length']],
    ['2001:db8::1/64', ['must not have bits set beyond the prefix length']],
  ])('%s', (value, details) => {
    expect(detailsOf(validateCIDR, value)).toEqual(details);
  });
});

describe('what leads to nobody', () => {
  const LOOPBACK = 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
  const LINK_LOCAL = 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  const MULTICAST = 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  test.each<[string, string[], string[]]>([
    ['192.0.2.1', [], []],
    ['2001:db8::1', [], []],
    // Upstream refuses no other multicast.
    ['239.1.2.3', [], []],
    ['0.0.0.0', ['may not be unspecified (0.0.0.0)'], ['may not be unspecified (0.0.0.0)']],
    ['::', ['may not be unspecified (::)'], ['may not be unspecified (::)']],
    ['127.0.0.1', [LOOPBACK], []],
    ['127.255.0.9', [LOOPBACK], []],
    ['::1', [LOOPBACK], []],
    ['::ffff:127.0.0.1', [LOOPBACK], []],
    ['169.254.1.1', [LINK_LOCAL], [LINK_LOCAL]],
    ['febf::1', [LINK_LOCAL], [LINK_LOCAL]],
    ['224.0.0.1', [MULTICAST], [MULTICAST]],
    ['ff02::1', [MULTICAST], [MULTICAST]],
    ['x', ['must be a valid IP address'], ['must be a valid IP address']],
  ])('%s', (value, external, endpoint) => {
    expect(detailsOf(validateExternalIP, value)).toEqual(external);
    expect(detailsOf(validateEndpointIP, value)).toEqual(endpoint);
  });
});
