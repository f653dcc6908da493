import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { type DNSConfig, PodSandboxConfig } from '../../cri/generated/cri.ts';
import type { NodeSettings } from '../ports.ts';
import { LABELS } from '../runtime-status.ts';
import { podCgroup } from './pod-cgroup.ts';
import { kernelHostname } from './pod-hostname.ts';
import { sandboxSecurityContext } from './security-context.ts';

/** Where a pod's logs are: `NAMESPACE_NAME_UID`, below the instance's log directory. */
export function podLogDir(
  podLogsDir: string,
  pod: { readonly namespace: string; readonly name: string; readonly podUID: string },
): string {
  return join(podLogsDir, `${pod.namespace}_${pod.name}_${pod.podUID}`);
}

/**
 * The config of a pod's sandbox. Pure. hostPorts are not in it: the instance's own nft table carries them.
 * @param dnsConfig of `podDNSConfig`
 * @throws Error when the pod's host name is impossible
 */
export function generateSandboxConfig(
  pod: Pod,
  attempt: number,
  settings: NodeSettings,
  dnsConfig: DNSConfig,
): PodSandboxConfig {
  const { name = '', namespace = '', uid = '', labels = {}, annotations = {} } = pod.metadata;
  const sysctls = pod.spec?.securityContext?.sysctls ?? [];
  return PodSandboxConfig.fromPartial({
    metadata: { name, namespace, uid, attempt },
    hostname: pod.spec?.hostNetwork ? '' : kernelHostname(pod),
    logDirectory: podLogDir(settings.podLogsDir, { namespace, name, podUID: uid }),
    dnsConfig,
    labels: {
      ...labels,
      [LABELS.podName]: name,
      [LABELS.podNamespace]: namespace,
      [LABELS.podUID]: uid,
    },
    annotations,
    linux: {
      cgroupParent: podCgroup(settings.cgroupParent, uid, pod.status?.qosClass),
      securityContext: sandboxSecurityContext(pod),
      sysctls: Object.fromEntries(sysctls.map((sysctl) => [sysctl.name.replaceAll('/', '.'), sysctl.value])),
    },
  });
}
