import { expect, test } from 'vitest';
import type { ContainerPort, Pod } from '../../api/generated/types.ts';
import { hostPortsOf } from '../../api/host-ports.ts';
import { elementChanges, hostPortElements, parseElements } from './host-port-elements.ts';
import { hostPortConflict } from './host-ports.ts';

const pod = (uid: string, ports: Partial<ContainerPort>[], sidecarPorts: Partial<ContainerPort>[] = []): Pod => ({
  metadata: { name: uid, uid },
  spec: {
    containers: [{ name: 'c', ports: ports.map((port) => ({ containerPort: 80, ...port })) }],
    initContainers: [
      { name: 'init', ports: [{ containerPort: 1, hostPort: 1 }] },
      { name: 'side', restartPolicy: 'Always', ports: sidecarPorts.map((port) => ({ containerPort: 80, ...port })) },
    ],
  },
});

test('host ports of containers and sidecars', () => {
  const ports = hostPortsOf(
    pod('a', [{}, { hostPort: 8080 }, { hostPort: 53, protocol: 'UDP', hostIP: '127.0.0.1' }], [{ hostPort: 9 }]),
  );
  expect(ports).toEqual([
    { protocol: 'tcp', hostIP: '', hostPort: 8080, containerPort: 80 },
    { protocol: 'udp', hostIP: '127.0.0.1', hostPort: 53, containerPort: 80 },
    { protocol: 'tcp', hostIP: '', hostPort: 9, containerPort: 80 },
  ]);
});

test.each<[Partial<ContainerPort>, Partial<ContainerPort>, boolean]>([
  [{ hostPort: 80 }, { hostPort: 80 }, true],
  [{ hostPort: 80 }, { hostPort: 81 }, false],
  [{ hostPort: 80 }, { hostPort: 80, protocol: 'UDP' }, false],
  [{ hostPort: 80, hostIP: '127.0.0.1' }, { hostPort: 80 }, true],
  [{ hostPort: 80, hostIP: '127.0.0.1' }, { hostPort: 80, hostIP: '0.0.0.0' }, true],
  [{ hostPort: 80, hostIP: '127.0.0.1' }, { hostPort: 80, hostIP: '127.0.0.2' }, false],
  [{}, {}, false],
])('%o and %o clash: %s', (a, b, clash) => {
  expect(hostPortConflict(pod('a', [a]), [pod('b', [b])])).toEqual(
    clash
      ? {
          reason: 'NodePorts',
          message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        }
      : undefined,
  );
});

test('a pod does not clash with itself', () => {
  expect(hostPortConflict(pod('a', [{ hostPort: 80 }]), [pod('a', [{ hostPort: 80 }])])).toBeUndefined();
});

test('elements, and how they change', () => {
  const before = hostPortElements(hostPortsOf(pod('a', [{ hostPort: 80 }, { hostPort: 81 }])), '10.88.0.2');
  const after = hostPortElements(
    hostPortsOf(pod('a', [{ hostPort: 80 }, { hostPort: 82, hostIP: '127.0.0.1', protocol: 'UDP' }])),
    '10.88.0.2',
  );
  expect(elementChanges('t', 'uid', before, after)).toBe(
    'delete element ip t hostports { tcp . 81 }\n' +
      'add element ip t hostports-at { 127.0.0.1 . udp . 82 comment "uid" : 10.88.0.2 . 80 }\n',
  );
  expect(elementChanges('t', 'uid', after, after)).toBe('');
});

test('an address that is not IPv4 is refused', () => {
  expect(() => hostPortElements(hostPortsOf(pod('a', [{ hostPort: 80, hostIP: '::1' }])), '10.88.0.2')).toThrow(
    'hostPort 80: hostIP "::1" is not an IPv4 address',
  );
});

test('what nft lists', () => {
  // As nft 1.0.6 prints it.
  const json = `{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip", "name": "t", "handle": 1}},
    {"map": {"family": "ip", "name": "hostports", "table": "t", "type": ["inet_proto", "inet_service"], "handle": 3,
      "map": "ipv4_addr . inet_service", "elem": [
        [{"elem": {"val": {"concat": ["udp", 53]}, "comment": "uid1"}}, {"concat": ["10.88.0.2", 53]}],
        [{"elem": {"val": {"concat": ["tcp", 8080]}, "comment": "uid2"}}, {"concat": ["10.88.0.3", 80]}]]}},
    {"map": {"family": "ip", "name": "hostports-at", "table": "t", "handle": 4, "elem": [
        [{"elem": {"val": {"concat": ["127.0.0.1", "tcp", 81]}, "comment": "uid1"}}, {"concat": ["10.88.0.2", 80]}]]}},
    {"map": {"family": "ip", "name": "empty", "table": "t", "handle": 5}}]}`;
  expect(parseElements(json)).toEqual(
    new Map([
      [
        'uid1',
        new Map([
          ['hostports udp . 53', '10.88.0.2 . 53'],
          ['hostports-at 127.0.0.1 . tcp . 81', '10.88.0.2 . 80'],
        ]),
      ],
      ['uid2', new Map([['hostports tcp . 8080', '10.88.0.3 . 80']])],
    ]),
  );
});
