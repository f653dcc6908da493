import { isAbsolute, resolve } from 'node:path';
import { UserError } from '../lib/errors.ts';
import { DEFAULT_ROOT_DIR } from '../lib/instance.ts';

/** Where the API server listens when nothing else is asked for. */
export const DEFAULT_PORT = 6443;
/** Kubernetes' own. */
const DEFAULT_MAX_PODS = 110;
const MAX_INT32 = 2 ** 31 - 1;
export const DEFAULT_PAUSE_IMAGE = 'registry.k8s.io/pause:3.10';

/** How one agent is started. The names are those of `kubelette up`'s options. */
export interface AgentOptions {
  /** Absolute. */
  readonly rootDir: string;
  /** TCP port of the API server on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Derived from the root directory, avoiding the host's routes, when absent. */
  readonly podCIDR: string | undefined;
  /** Where Services have their addresses; derived likewise when absent. */
  readonly serviceCIDR: string | undefined;
  /** URL of a registry that is asked in place of every other one. */
  readonly registryMirror: string | undefined;
  readonly pauseImage: string;
  /** The file that pods with dnsPolicy Default get; the host's own when absent. */
  readonly resolvConf: string | undefined;
  /** Unix socket of a CRI runtime that already runs; without it a private containerd is started. */
  readonly runtimeEndpoint: string | undefined;
  /** The longest wait of CrashLoopBackOff, seconds (1 to 300). */
  readonly maxContainerRestartPeriodSeconds: number;
  /** The most pods that the node runs. */
  readonly maxPods: number;
}

export type RawAgentOptions = { [K in keyof AgentOptions]?: AgentOptions[K] | string | undefined };

/** Checks and completes options as they come from a command line or a library call. @throws UserError naming option, value and reason */
export function parseAgentOptions(raw: RawAgentOptions): AgentOptions {
  return {
    rootDir: resolve(text('--root-dir', raw.rootDir) ?? DEFAULT_ROOT_DIR),
    port: integer('--port', raw.port, 0, 65535) ?? DEFAULT_PORT,
    podCIDR: text('--pod-cidr', raw.podCIDR),
    serviceCIDR: text('--service-cidr', raw.serviceCIDR),
    registryMirror: mirrorUrl(text('--registry-mirror', raw.registryMirror)),
    pauseImage: text('--pause-image', raw.pauseImage) ?? DEFAULT_PAUSE_IMAGE,
    resolvConf: absolute(text('--resolv-conf', raw.resolvConf)),
    runtimeEndpoint: endpointPath(text('--runtime-endpoint', raw.runtimeEndpoint)),
    maxContainerRestartPeriodSeconds:
      integer('--max-container-restart-period', raw.maxContainerRestartPeriodSeconds, 1, 300) ?? 300,
    maxPods: integer('--max-pods', raw.maxPods, 0, MAX_INT32) ?? DEFAULT_MAX_PODS,
  };
}

function invalid(option: string, value: unknown, reason: string): UserError {
  return new UserError(`${option}: invalid value ${JSON.stringify(value)}: ${reason}`);
}

function text(option: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw invalid(option, value, 'must not be empty');
  return value;
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}

function integer(option: string, value: unknown, min: number, max: number): number | undefined {
  if (value === undefined) return undefined;
  const n = typeof value === 'number' ? value : /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (!Number.isInteger(n) || n < min || n > max) {
    throw invalid(option, value, `must be a whole number from ${min} to ${max}`);
  }
  return n;
}

function mirrorUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw invalid('--registry-mirror', value, 'must be a URL such as http://127.0.0.1:5000');
  }
  return value.replace(/\/+$/, '');
}

function endpointPath(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const path = value.replace(/^unix:(\/\/)?/, '');
  if (!isAbsolute(path)) {
    throw invalid(
      '--runtime-endpoint',
      value,
      'must be the absolute path of a Unix socket, such as /run/containerd/containerd.sock',
    );
  }
  return path;
}
