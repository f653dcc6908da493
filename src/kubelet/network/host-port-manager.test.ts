import { beforeEach, expect, test } from 'vitest';
import type { ContainerPort, Pod } from '../../api/generated/types.ts';
import { instanceLayout } from '../../lib/instance.ts';
import type { SandboxRuntimeStatus } from '../runtime-status.ts';
import { NftHostPortManager } from './host-port-manager.ts';

const layout = instanceLayout('/nowhere');
const T = layout.nftTable;

let scripts: string[];
let listings: number;
let listed: string | Error;
let manager: NftHostPortManager;
/** What flows were looked through for. */
let strays: [string, readonly string[]][];

beforeEach(() => {
  scripts = [];
  strays = [];
  listings = 0;
  listed = '{"nftables": []}';
  manager = newManager();
});

function newManager(): NftHostPortManager {
  const udpFlows = {
    forgetStrays: async (frontends: ReadonlyMap<string, readonly string[]>) => void strays.push(...frontends),
  };
  return new NftHostPortManager(layout, udpFlows, async (args, script) => {
    if (script !== undefined) {
      scripts.push(script);
      return '';
    }
    expect(args).toEqual(['-j', 'list', 'table', 'ip', T]);
    listings++;
    if (listed instanceof Error) throw listed;
    return listed;
  });
}

const pod = (uid: string, hostPort?: number): Pod => ({
  metadata: { name: uid, uid },
  spec: { containers: [{ name: 'c', ports: [{ containerPort: 80, ...(hostPort ? { hostPort } : {}) }] }] },
});
const sandbox = (ip: string, hostNetwork = false): SandboxRuntimeStatus => ({
  id: 's',
  attempt: 0,
  ready: true,
  createdAt: 0,
  ips: hostNetwork ? [] : [ip],
  hostNetwork,
});
const added = (port: number, uid: string, ip: string): string =>
  `add element ip ${T} hostports { tcp . ${port} comment "${uid}" : ${ip} . 80 }\n`;
const deleted = (port: number): string => `delete element ip ${T} hostports { tcp . ${port} }\n`;
const left = (port: number, uid: string, ip: string): string =>
  `{"nftables": [{"map": {"name": "hostports", "elem": [
    [{"elem": {"val": {"concat": ["tcp", ${port}]}, "comment": "${uid}"}}, {"concat": ["${ip}", 80]}]]}}]}`;

test('ports come and go with their pod, each change in one script', async () => {
  await manager.set(pod('a', 8080), sandbox('10.88.0.2'));
  await manager.set(pod('a', 8080), sandbox('10.88.0.2'));
  await manager.set(pod('a', 8080), sandbox('10.88.0.9'));
  await manager.remove('a');
  await manager.remove('a');
  expect(scripts).toEqual([
    added(8080, 'a', '10.88.0.2'),
    deleted(8080) + added(8080, 'a', '10.88.0.9'),
    deleted(8080),
  ]);
  expect(listings).toBe(1);
});

test('flows that began before are looked for once the kernel leads to the pod', async () => {
  const ports: ContainerPort[] = [
    { containerPort: 53, hostPort: 5353, protocol: 'UDP' },
    { containerPort: 53, hostPort: 5354, hostIP: '192.0.2.1', protocol: 'UDP' },
  ];
  const dns = (uid: string): Pod => ({ metadata: { uid }, spec: { containers: [{ name: 'c', ports }] } });
  await manager.set(dns('a'), sandbox('10.88.0.2'));
  expect(strays).toEqual([
    ['udp . 5353', ['10.88.0.2 . 53']],
    ['192.0.2.1 . udp . 5354', ['10.88.0.2 . 53']],
  ]);
  await manager.set(dns('a'), sandbox('10.88.0.2'));
  expect(strays).toHaveLength(2);
  await manager.set(dns('a'), sandbox('10.88.0.3'));
  await manager.remove('a');
  expect(strays.slice(2)).toEqual([
    ['udp . 5353', ['10.88.0.3 . 53']],
    ['192.0.2.1 . udp . 5354', ['10.88.0.3 . 53']],
  ]);
});

test('pods without host ports cost nothing', async () => {
  await manager.set(pod('a'), sandbox('10.88.0.2'));
  await manager.set(pod('b', 80), sandbox('', true));
  await manager.remove('a');
  expect(scripts).toEqual([]);
});

test('two pods cannot have one port', async () => {
  await manager.set(pod('a', 80), sandbox('10.88.0.2'));
  await expect(manager.set(pod('b', 80), sandbox('10.88.0.3'))).rejects.toThrow(
    'host port tcp 80 is in use by the pod with UID a',
  );
  await manager.remove('a');
  await manager.set(pod('b', 80), sandbox('10.88.0.3'));
  expect(scripts.at(-1)).toBe(added(80, 'b', '10.88.0.3'));
});

test('after a crash what stands is known', async () => {
  listed = left(80, 'a', '10.88.0.2');
  await manager.set(pod('a', 80), sandbox('10.88.0.2'));
  expect(scripts).toEqual([]);
  await manager.remove('a');
  expect(scripts).toEqual([deleted(80)]);
});

test('what a pod left that nobody knows gives way', async () => {
  listed = left(80, 'gone', '10.88.0.2');
  await manager.set(pod('b', 80), sandbox('10.88.0.3'));
  expect(scripts).toEqual([deleted(80) + added(80, 'b', '10.88.0.3')]);
});

test('retain removes what is of no pod', async () => {
  listed = left(80, 'gone', '10.88.0.2');
  await manager.retain(new Set(['a']));
  expect(scripts).toEqual([deleted(80)]);
});

test('no table is no ports; another failure is not forgotten', async () => {
  listed = new Error('Error: No such file or directory; did you mean table');
  await manager.remove('a');
  listed = new Error('busy');
  manager = newManager();
  await expect(manager.remove('a')).rejects.toThrow('busy');
  listed = left(80, 'a', '10.88.0.2');
  await manager.remove('a');
  expect(scripts).toEqual([deleted(80)]);
});
