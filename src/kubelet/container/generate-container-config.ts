import type { Container, Pod, VolumeMount } from '../../api/generated/types.ts';
import { ContainerConfig, type Mount, MountPropagation } from '../../cri/generated/cri.ts';
import { containerHash } from '../container-hash.ts';
import { ANNOTATIONS, LABELS } from '../runtime-status.ts';
import { containerResources } from './container-resources.ts';
import { expandVariables } from './expand-variables.ts';
import { containerSecurityContext, type ImageUser } from './security-context.ts';

/** Everything about one new instance of a container that its config is made from. */
export interface ContainerConfigInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly restartCount: number;
  readonly imageRef: string;
  readonly env: ReadonlyMap<string, string>;
  /** Made with `volumeMount` and `fileMount`. */
  readonly mounts: readonly Mount[];
  readonly memoryCapacityBytes: number;
  /** Whether the host has cgroup v2; v1 unless said. */
  readonly isUnified?: boolean;
  /** When `needsImageUser`. */
  readonly imageUser?: ImageUser | undefined;
}

/** The container's config (`pkg/kubelet/kuberuntime/kuberuntime_container.go`, generateContainerConfig). Pure. */
export function generateContainerConfig(input: ContainerConfigInput): ContainerConfig {
  const { pod, container, restartCount, env } = input;
  const expand = (text: string): string => expandVariables(text, env);
  return ContainerConfig.fromPartial({
    metadata: { name: container.name, attempt: restartCount },
    image: { image: input.imageRef, userSpecifiedImage: container.image ?? '' },
    command: (container.command ?? []).map(expand),
    args: (container.args ?? []).map(expand),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value })),
    mounts: [...input.mounts],
    labels: {
      [LABELS.podName]: pod.metadata.name ?? '',
      [LABELS.podNamespace]: pod.metadata.namespace ?? '',
      [LABELS.podUID]: pod.metadata.uid ?? '',
      [LABELS.containerName]: container.name,
    },
    annotations: annotations(pod, container, restartCount),
    logPath: containerLogPath(container.name, restartCount),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: containerResources(pod, container, input.memoryCapacityBytes, input.isUnified ?? false),
      securityContext: containerSecurityContext(pod, container, input.imageUser),
    },
  });
}

/** Where an instance logs, below the pod's log directory. */
export function containerLogPath(container: string, restartCount: number): string {
  return `${container}/${restartCount}.log`;
}

/** A volume's mount. @param hostPath the volume's path, or what its subPath led to */
export function volumeMount(mount: VolumeMount, hostPath: string, volumeReadOnly: boolean): Mount {
  const readonly = mount.readOnly === true || volumeReadOnly;
  return {
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    hostPath,
    readonly,
    selinuxRelabel: false,
    propagation: PROPAGATION[mount.mountPropagation ?? 'None'],
    recursiveReadOnly: false,
  };
}

/** A file that the kubelet gives to the container. */
export function fileMount(containerPath: string, hostPath: string): Mount {
  return {
    containerPath,
    hostPath,
    readonly: false,
    selinuxRelabel: false,
    propagation: MountPropagation.PROPAGATION_PRIVATE,
    recursiveReadOnly: false,
  };
}

const PROPAGATION = {
  None: MountPropagation.PROPAGATION_PRIVATE,
  HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
} as const;

function annotations(pod: Pod, container: Container, restartCount: number): Record<string, string> {
  const grace = pod.spec?.terminationGracePeriodSeconds;
  const preStop = container.lifecycle?.preStop;
  return {
    [ANNOTATIONS.hash]: containerHash(container),
    [ANNOTATIONS.restartCount]: String(restartCount),
    [ANNOTATIONS.terminationMessagePath]: container.terminationMessagePath ?? '',
    [ANNOTATIONS.terminationMessagePolicy]: container.terminationMessagePolicy ?? '',
    ...(grace === undefined ? {} : { [ANNOTATIONS.podTerminationGracePeriod]: String(grace) }),
    ...(preStop === undefined ? {} : { [ANNOTATIONS.preStop]: JSON.stringify(preStop) }),
  };
}
