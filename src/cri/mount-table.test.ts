import { expect, it } from 'vitest';
import { parseMountInfo } from './mount-table.ts';

it('reads mount points and types, whatever optional fields and blanks there are', () => {
  const text = [
    '22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw',
    '30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    '31 22 0:50 / /tmp/with\\040blank\\134s rw - overlay overlay rw,lowerdir=/a - b',
    '',
  ].join('\n');
  expect(parseMountInfo(text)).toEqual([
    { path: '/', type: 'ext4' },
    { path: '/sys/fs/cgroup/unified', type: 'cgroup2' },
    { path: '/tmp/with blank\\s', type: 'overlay' },
  ]);
});
