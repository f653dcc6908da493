import { expect, it } from 'vitest';
import { instanceLayout } from '../lib/instance.ts';
import { cniConfList, isPodCIDR, writeCniConfig } from './cni-config.ts';

it('makes one bridge, with addresses from the pod network', () => {
  const layout = instanceLayout('/tmp/some/instance');
  expect(cniConfList(layout, '10.244.3.0/24')).toEqual({
    cniVersion: '0.4.0',
    name: layout.id,
    plugins: [
      {
        type: 'bridge',
        bridge: layout.bridge,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: layout.cni.ipamDir,
          ranges: [[{ subnet: '10.244.3.0/24' }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  });
});

it.each(['10.244.0.0/24', '10.0.0.0/8', '192.168.1.8/29', '172.16.0.0/16'])('%s is a pod network', (cidr) => {
  expect(isPodCIDR(cidr)).toBe(true);
});

it.each([
  '',
  '10.244.0.0',
  '10.244.0.1/24',
  '10.244.0.0/30',
  '10.0.0.0/7',
  '256.0.0.0/16',
  'fd00::/64',
  '10.244.0.0/24 ',
])('"%s" is none', async (cidr) => {
  expect(isPodCIDR(cidr)).toBe(false);
  await expect(writeCniConfig(instanceLayout('/nowhere'), cidr)).rejects.toThrow(JSON.stringify(cidr));
});
