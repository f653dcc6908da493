import { describe, expect, it } from 'vitest';
import { parseAgentOptions } from './agent-options.ts';

describe('parseAgentOptions', () => {
  it('fills in the defaults', () => {
    expect(parseAgentOptions({})).toEqual({
      rootDir: '/var/lib/kubelette',
      port: 6443,
      podCIDR: undefined,
      serviceCIDR: undefined,
      registryMirror: undefined,
      pauseImage: 'registry.k8s.io/pause:3.10',
      resolvConf: undefined,
      runtimeEndpoint: undefined,
      maxContainerRestartPeriodSeconds: 300,
      maxPods: 110,
    });
  });

  it('takes what a command line gives: text for numbers, unix: before a socket', () => {
    const options = parseAgentOptions({
      port: '0',
      runtimeEndpoint: 'unix:///run/containerd/containerd.sock',
      registryMirror: 'http://127.0.0.1:5000/',
    });
    expect(options).toMatchObject({
      port: 0,
      runtimeEndpoint: '/run/containerd/containerd.sock',
      registryMirror: 'http://127.0.0.1:5000',
    });
  });

  it.each([
    [{ port: '70000' }, '--port: invalid value "70000": must be a whole number from 0 to 65535'],
    [{ port: 'x' }, '--port: invalid value "x": must be a whole number from 0 to 65535'],
    [{ rootDir: '' }, '--root-dir: invalid value "": must not be empty'],
    [{ registryMirror: 'localhost:5000' }, '--registry-mirror: invalid value "localhost:5000": must be a URL such as'],
    [
      { runtimeEndpoint: 'containerd.sock' },
      '--runtime-endpoint: invalid value "containerd.sock": must be the absolute path',
    ],
    [{ maxContainerRestartPeriodSeconds: '301' }, '--max-container-restart-period: invalid value "301"'],
    [{ maxPods: '-1' }, '--max-pods: invalid value "-1": must be a whole number from 0 to 2147483647'],
  ])('names option, value and reason: %j', (raw, message) => {
    expect(() => parseAgentOptions(raw)).toThrow(message);
  });
});
