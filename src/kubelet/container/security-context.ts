import type { AppArmorProfile, Container, Pod, SeccompProfile } from '../../api/generated/types.ts';
import {
  type Int64Value,
  LinuxContainerSecurityContext,
  LinuxSandboxSecurityContext,
  NamespaceMode,
  type NamespaceOption,
  type SecurityProfile,
  SecurityProfile_ProfileType,
} from '../../cri/generated/cri.ts';

const { RuntimeDefault, Unconfined, Localhost } = SecurityProfile_ProfileType;

/** What of `/proc` and `/sys` a container does not see, and what it cannot write (`pkg/securitycontext/util.go`). */
const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Which namespaces the pod has to itself. */
export function namespaceOptions(pod: Pod): NamespaceOption {
  const { hostNetwork, hostIPC, hostPID, shareProcessNamespace } = pod.spec ?? {};
  const ownPID = shareProcessNamespace ? NamespaceMode.POD : NamespaceMode.CONTAINER;
  return {
    network: hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD,
    ipc: hostIPC ? NamespaceMode.NODE : NamespaceMode.POD,
    pid: hostPID ? NamespaceMode.NODE : ownPID,
    targetId: '',
  };
}

/**
 * The sandbox's. Its one process is the runtime's own, which upstream always confines by seccomp; that costs about 15 ms a pod, so we do
 * it when the pod asks for a profile anywhere: a container without one is not confined by it anyway.
 */
export function sandboxSecurityContext(pod: Pod): LinuxSandboxSecurityContext {
  const context = pod.spec?.securityContext;
  return LinuxSandboxSecurityContext.fromPartial({
    namespaceOptions: namespaceOptions(pod),
    runAsUser: int64(context?.runAsUser),
    runAsGroup: context?.runAsUser === undefined ? undefined : int64(context.runAsGroup),
    supplementalGroups: supplementalGroups(pod),
    privileged: allContainers(pod).some((container) => container.securityContext?.privileged === true),
    seccomp: profile(asksForSeccomp(pod) ? RuntimeDefault : Unconfined),
    selinuxOptions: selinux(context?.seLinuxOptions),
  });
}

/**
 * A container's, from the pod's settings and its own, which win (`pkg/kubelet/kuberuntime/security_context.go`).
 * @param imageUser when `needsImageUser`
 */
export function containerSecurityContext(
  pod: Pod,
  container: Container,
  imageUser?: ImageUser,
): LinuxContainerSecurityContext {
  const podContext = pod.spec?.securityContext;
  const own = container.securityContext;
  const unmasked = own?.procMount === 'Unmasked';
  return LinuxContainerSecurityContext.fromPartial({
    namespaceOptions: namespaceOptions(pod),
    ...userOf(effectiveUser(pod, container), imageUser),
    runAsGroup: int64(effectiveGroup(pod, container)),
    supplementalGroups: supplementalGroups(pod),
    privileged: own?.privileged ?? false,
    readonlyRootfs: own?.readOnlyRootFilesystem ?? false,
    noNewPrivs: own?.allowPrivilegeEscalation === false,
    capabilities: {
      addCapabilities: own?.capabilities?.add ?? [],
      dropCapabilities: own?.capabilities?.drop ?? [],
    },
    maskedPaths: unmasked ? [] : MASKED_PATHS,
    readonlyPaths: unmasked ? [] : READONLY_PATHS,
    seccomp: seccomp(own?.seccompProfile ?? podContext?.seccompProfile),
    apparmor: appArmor(own?.appArmorProfile ?? podContext?.appArmorProfile),
    selinuxOptions: selinux(own?.seLinuxOptions ?? podContext?.seLinuxOptions),
  });
}

/** The image's user as CRI tells it: a number, or a name that may mean anything. */
export interface ImageUser {
  readonly uid: bigint | undefined;
  readonly username: string;
}

/**
 * Whether the container's user comes from the image and has to be known: to verify runAsNonRoot, or to stand beside a group, which
 * runtimes do not take alone.
 */
export function needsImageUser(pod: Pod, container: Container): boolean {
  if (effectiveUser(pod, container) !== undefined) return false;
  return runAsNonRoot(pod, container) || effectiveGroup(pod, container) !== undefined;
}

/** Why the container must not run under runAsNonRoot, or undefined. @param imageUser when `needsImageUser` */
export function nonRootViolation(pod: Pod, container: Container, imageUser: ImageUser | undefined): string | undefined {
  if (!runAsNonRoot(pod, container)) return undefined;
  const { name, namespace, uid } = pod.metadata;
  const where = `(pod: ${JSON.stringify(`${name}_${namespace}(${uid})`)}, container: ${container.name})`;
  const user = effectiveUser(pod, container);
  if (user !== undefined) return user === 0 ? `container's runAsUser breaks non-root policy ${where}` : undefined;
  if (imageUser?.uid !== undefined) {
    return imageUser.uid === 0n ? `container has runAsNonRoot and image will run as root ${where}` : undefined;
  }
  if (imageUser && imageUser.username !== '') {
    const why = `image has non-numeric user (${imageUser.username}), cannot verify user is non-root`;
    return `container has runAsNonRoot and ${why} ${where}`;
  }
  // Neither number nor name: the image says nothing, which is root.
  return `container has runAsNonRoot and image will run as root ${where}`;
}

function runAsNonRoot(pod: Pod, container: Container): boolean {
  return container.securityContext?.runAsNonRoot ?? pod.spec?.securityContext?.runAsNonRoot ?? false;
}

function effectiveUser(pod: Pod, container: Container): number | undefined {
  return container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser;
}

function effectiveGroup(pod: Pod, container: Container): number | undefined {
  return container.securityContext?.runAsGroup ?? pod.spec?.securityContext?.runAsGroup;
}

/** An image that names nobody means root. */
function userOf(
  runAsUser: number | undefined,
  image: ImageUser | undefined,
): { runAsUser?: Int64Value | undefined; runAsUsername?: string } {
  if (runAsUser !== undefined || !image) return { runAsUser: int64(runAsUser) };
  if (image.uid === undefined && image.username !== '') return { runAsUsername: image.username };
  return { runAsUser: { value: image.uid ?? 0n } };
}

function allContainers(pod: Pod): Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
}

function supplementalGroups(pod: Pod): bigint[] {
  const { fsGroup, supplementalGroups: groups = [] } = pod.spec?.securityContext ?? {};
  return [...(fsGroup === undefined ? [] : [fsGroup]), ...groups].map(BigInt);
}

function int64(value: number | undefined): Int64Value | undefined {
  return value === undefined ? undefined : { value: BigInt(value) };
}

function asksForSeccomp(pod: Pod): boolean {
  const asked = [pod.spec?.securityContext, ...allContainers(pod).map((container) => container.securityContext)];
  return asked.some((context) => (context?.seccompProfile?.type ?? 'Unconfined') !== 'Unconfined');
}

/** Unset is Unconfined, as on a node without seccompDefault. */
function seccomp(wanted: SeccompProfile | undefined): SecurityProfile {
  switch (wanted?.type) {
    case 'RuntimeDefault':
      return profile(RuntimeDefault);
    case 'Localhost':
      return profile(Localhost, `/var/lib/kubelet/seccomp/${wanted.localhostProfile ?? ''}`);
    default:
      return profile(Unconfined);
  }
}

/** Unset is the runtime's choice. */
function appArmor(wanted: AppArmorProfile | undefined): SecurityProfile | undefined {
  switch (wanted?.type) {
    case 'RuntimeDefault':
      return profile(RuntimeDefault);
    case 'Unconfined':
      return profile(Unconfined);
    default:
      return undefined;
  }
}

function profile(profileType: SecurityProfile_ProfileType, localhostRef = ''): SecurityProfile {
  return { profileType, localhostRef };
}

function selinux(options: { user?: string; role?: string; type?: string; level?: string } | undefined) {
  if (!options) return undefined;
  const { user = '', role = '', type = '', level = '' } = options;
  return { user, role, type, level };
}
