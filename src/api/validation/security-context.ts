import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from '../generated/types.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooLong } from './field-error.ts';
import { validateDescendingPath } from './volumes.ts';

const MAX_ID = 2 ** 31 - 1;
const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function validateID(id: number | undefined, path: string, errors: FieldError[]): void {
  if (id !== undefined && (id < 0 || id > MAX_ID)) {
    errors.push(invalid(path, id, `must be between 0 and ${MAX_ID}, inclusive`));
  }
}

/** `spec.securityContext`. */
export function validatePodSecurityContext(spec: PodSpec, path: string, errors: FieldError[]): void {
  const context = spec.securityContext;
  if (!context) return;
  validateID(context.fsGroup, `${path}.fsGroup`, errors);
  validateID(context.runAsUser, `${path}.runAsUser`, errors);
  validateID(context.runAsGroup, `${path}.runAsGroup`, errors);
  for (const [i, gid] of (context.supplementalGroups ?? []).entries()) {
    validateID(gid, `${path}.supplementalGroups[${i}]`, errors);
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    errors.push(
      invalid(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  }
  validateSysctls(spec, `${path}.sysctls`, errors);
  const change = context.fsGroupChangePolicy;
  if (change !== undefined && change !== 'Always' && change !== 'OnRootMismatch') {
    errors.push(notSupported(`${path}.fsGroupChangePolicy`, change, ['Always', 'OnRootMismatch']));
  }
  validateSeccomp(context.seccompProfile, `${path}.seccompProfile`, errors);
  validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`, errors);
  const groups = context.supplementalGroupsPolicy;
  if (groups !== undefined && groups !== 'Merge' && groups !== 'Strict') {
    errors.push(notSupported(`${path}.supplementalGroupsPolicy`, groups, ['Merge', 'Strict']));
  }
}

const SYSCTL = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
const SYSCTL_SHAPE = new RegExp(SYSCTL);
const IPC_SYSCTLS = ['kernel.shm', 'kernel.msg', 'kernel.sem', 'fs.mqueue.'];

function validateSysctls(spec: PodSpec, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, { name }] of (spec.securityContext?.sysctls ?? []).entries()) {
    const at = `${path}[${i}].name`;
    if (!name) errors.push(required(at));
    else if (name.length > 253 || !SYSCTL_SHAPE.test(name)) {
      errors.push(invalid(at, name, `must have at most 253 characters and match regex ${SYSCTL}`));
    } else if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
    const dotted = name.replaceAll('/', '.');
    if (spec.hostNetwork && dotted.startsWith('net.')) {
      errors.push(invalid(at, name, "may not be specified when 'hostNetwork' is true"));
    }
    if (spec.hostIPC && IPC_SYSCTLS.some((prefix) => dotted.startsWith(prefix))) {
      errors.push(invalid(at, name, "may not be specified when 'hostIPC' is true"));
    }
  }
}

/** A container's `securityContext`. @param hostUsers whether the pod shares the host's user namespace */
export function validateSecurityContext(
  context: SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
  errors: FieldError[],
): void {
  if (!context) return;
  validateID(context.runAsUser, `${path}.runAsUser`, errors);
  validateID(context.runAsGroup, `${path}.runAsGroup`, errors);
  if (context.procMount !== undefined) {
    if (context.procMount !== 'Default' && context.procMount !== 'Unmasked') {
      errors.push(notSupported(`${path}.procMount`, context.procMount, ['Default', 'Unmasked']));
    } else if (hostUsers && context.procMount === 'Unmasked') {
      errors.push(invalid(`${path}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'));
    }
  }
  validateSeccomp(context.seccompProfile, `${path}.seccompProfile`, errors);
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged) {
      errors.push(invalid(path, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    }
    for (const capability of context.capabilities?.add ?? []) {
      if (capability === 'SYS_ADMIN' || capability === 'CAP_SYS_ADMIN') {
        errors.push(
          invalid(path, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'),
        );
      }
    }
  }
  validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`, errors);
}

function validateSeccomp(profile: SeccompProfile | undefined, path: string, errors: FieldError[]): void {
  if (!profile) return;
  if (!profile.type) errors.push(required(`${path}.type`, 'type is required when seccompProfile is set'));
  else if (!PROFILE_TYPES.includes(profile.type)) {
    errors.push(notSupported(`${path}.type`, profile.type, PROFILE_TYPES));
  }
  if (profile.type === 'Localhost') {
    if (profile.localhostProfile === undefined) {
      errors.push(required(`${path}.localhostProfile`, 'must be set when seccomp type is Localhost'));
    } else {
      validateDescendingPath(profile.localhostProfile, `${path}.localhostProfile`, errors);
    }
  } else if (profile.localhostProfile !== undefined) {
    errors.push(invalid(`${path}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost'));
  }
}

function validateAppArmor(profile: AppArmorProfile | undefined, path: string, errors: FieldError[]): void {
  if (!profile) return;
  const { type, localhostProfile: local } = profile;
  const at = `${path}.localhostProfile`;
  if (!type) errors.push(required(`${path}.type`, 'type is required when appArmorProfile is set'));
  else if (!PROFILE_TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, PROFILE_TYPES));
  else if (type !== 'Localhost') {
    if (local !== undefined) errors.push(invalid(at, local, 'can only be set when AppArmor type is Localhost'));
  } else if (local === undefined || local === '') {
    errors.push(required(at, 'must be set when AppArmor type is Localhost'));
  } else {
    if (local.trim() !== local) errors.push(invalid(at, local, 'must not be padded with whitespace'));
    if (Buffer.byteLength(local) > 4095) errors.push(tooLong(at, 4095));
  }
}

/** Host namespaces do not go together with a user namespace of the pod's own. */
export function validateHostUsers(spec: PodSpec, path: string, errors: FieldError[]): void {
  if (spec.hostUsers !== false) return;
  const why = 'when `pod.Spec.HostUsers` is false';
  if (spec.hostNetwork) errors.push(forbidden(`${path}.hostNetwork`, why));
  if (spec.hostPID) errors.push(forbidden(`${path}.HostPID`, why));
  if (spec.hostIPC) errors.push(forbidden(`${path}.HostIPC`, why));
}
