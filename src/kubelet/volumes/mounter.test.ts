import { expect, test } from 'vitest';
import { mountPoints } from './mounter.ts';

const MOUNTINFO = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:30 / /var/lib/kubelette/pods/u/volumes/a rw shared:1 - tmpfs tmpfs rw
31 22 0:31 / /var/lib/kubelette/pods/u2/volumes/a rw - tmpfs tmpfs rw
32 30 0:32 / /var/lib/kubelette/pods/u/volumes/a/with\\040space rw - tmpfs tmpfs rw
`;

test('mount points at or below a directory, deepest first', () => {
  expect(mountPoints(MOUNTINFO, '/var/lib/kubelette/pods/u')).toEqual([
    '/var/lib/kubelette/pods/u/volumes/a/with space',
    '/var/lib/kubelette/pods/u/volumes/a',
  ]);
  expect(mountPoints(MOUNTINFO, '/var/lib/kubelette/pods/u2/volumes/a')).toHaveLength(1);
  expect(mountPoints(MOUNTINFO, '/var/lib/kubelette/pods/other')).toEqual([]);
});
