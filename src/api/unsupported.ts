import type { Container, Pod, PodSpec, Volume } from './generated/types.ts';

/** A field of a pod that kubelette does not carry out. */
export interface UnsupportedField {
  /** `spec.volumes[0].nfs` */
  readonly field: string;
  readonly why: string;
  /** Whether the pod would not be what its author means without it; otherwise a warning is enough. */
  readonly refuse: boolean;
}

/** Volume sources that are carried out. */
const SUPPORTED_VOLUMES: ReadonlySet<string> = new Set([
  'emptyDir',
  'hostPath',
  'configMap',
  'secret',
  'downwardAPI',
  'projected',
]);

const NOT_YET = 'is not supported by kubelette yet';

/**
 * What a pod asks for that is not carried out, by field, so that nothing is ignored in silence. The pod is defaulted.
 * Whatever a field's absence or default asks for is carried out.
 */
export function unsupportedPodFields(pod: Pod): UnsupportedField[] {
  const found: UnsupportedField[] = [];
  const refuse = (field: string, why = NOT_YET): void => {
    found.push({ field, why, refuse: true });
  };
  const warn = (field: string, why: string): void => {
    found.push({ field, why, refuse: false });
  };
  const { spec } = pod;

  for (const [i, volume] of (spec.volumes ?? []).entries()) findInVolume(volume, `spec.volumes[${i}]`, refuse, warn);
  for (const field of ['initContainers', 'containers'] as const) {
    for (const [i, container] of (spec[field] ?? []).entries()) {
      findInContainer(container, `spec.${field}[${i}]`, refuse, warn);
    }
  }
  findInPodSecurity(spec, refuse);

  if (spec.resourceClaims?.length) refuse('spec.resourceClaims');
  if (spec.runtimeClassName) refuse('spec.runtimeClassName', 'kubelette knows no RuntimeClasses');
  if (spec.hostUsers === false) refuse('spec.hostUsers', 'user namespaces are not supported by kubelette yet');
  if (spec.os?.name === 'windows') refuse('spec.os.name', 'kubelette runs Linux pods only');
  if (spec.setHostnameAsFQDN) refuse('spec.setHostnameAsFQDN');
  if (spec.hostnameOverride) refuse('spec.hostnameOverride');
  if (spec.resources?.limits || spec.resources?.requests)
    refuse('spec.resources', 'pod-level resources are not supported by kubelette yet');
  if (spec.schedulingGates?.length)
    refuse('spec.schedulingGates', 'kubelette has no scheduler that would wait for them');
  if (spec.schedulingGroup) warn('spec.schedulingGroup', 'kubelette has one node and no gang scheduling: ignored');
  if (spec.imagePullSecrets?.length) {
    warn('spec.imagePullSecrets', 'kubelette pulls without registry credentials for now: ignored');
  }
  if (spec.schedulerName && spec.schedulerName !== 'default-scheduler') {
    warn('spec.schedulerName', 'kubelette has one node and no schedulers: ignored');
  }
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    if (spec.affinity?.[kind]) warn(`spec.affinity.${kind}`, 'kubelette has one node to place pods on: ignored');
  }
  if (spec.topologySpreadConstraints?.length) {
    warn('spec.topologySpreadConstraints', 'kubelette has one node to place pods on: ignored');
  }
  return found;
}

type Report = (field: string, why?: string) => void;
type Warn = (field: string, why: string) => void;

function findInVolume(volume: Volume, path: string, refuse: Report, warn: Warn): void {
  for (const [source, value] of Object.entries(volume)) {
    if (source === 'name' || value === undefined) continue;
    if (!SUPPORTED_VOLUMES.has(source))
      refuse(`${path}.${source}`, `volumes of type ${source} are not supported by kubelette yet`);
  }
  const { medium, sizeLimit } = volume.emptyDir ?? {};
  if (medium && medium !== 'Memory') refuse(`${path}.emptyDir.medium`);
  if (!medium && sizeLimit !== undefined)
    warn(`${path}.emptyDir.sizeLimit`, 'kubelette does not watch the disk a volume uses: ignored');
  for (const [i, source] of (volume.projected?.sources ?? []).entries()) {
    for (const kind of ['serviceAccountToken', 'clusterTrustBundle', 'podCertificate'] as const) {
      if (source[kind] !== undefined) refuse(`${path}.projected.sources[${i}].${kind}`);
    }
  }
}

function findInContainer(container: Container, path: string, refuse: Report, warn: Warn): void {
  if (container.volumeDevices?.length)
    refuse(`${path}.volumeDevices`, 'block devices are not supported by kubelette yet');
  if (container.resources?.claims?.length) refuse(`${path}.resources.claims`);
  for (const list of ['limits', 'requests'] as const) {
    for (const name of Object.keys(container.resources?.[list] ?? {})) {
      if (name === 'cpu' || name === 'memory') continue;
      const field = `${path}.resources.${list}[${name}]`;
      if (name === 'ephemeral-storage') warn(field, 'kubelette does not watch the disk a container uses: ignored');
      else refuse(field, `kubelette has no ${name} to give`);
    }
  }
  for (const [i, variable] of (container.env ?? []).entries()) {
    if (variable.valueFrom?.fileKeyRef) refuse(`${path}.env[${i}].valueFrom.fileKeyRef`);
  }
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    if (mount.recursiveReadOnly === 'Enabled') refuse(`${path}.volumeMounts[${i}].recursiveReadOnly`);
  }
  for (const [i, port] of (container.ports ?? []).entries()) {
    if (port.protocol === 'SCTP' && port.hostPort)
      refuse(`${path}.ports[${i}].hostPort`, 'host ports for SCTP are not supported by kubelette yet');
  }
  for (const hook of ['postStart', 'preStop'] as const) {
    if (container.lifecycle?.[hook]?.tcpSocket) {
      refuse(`${path}.lifecycle.${hook}.tcpSocket`, 'never supported by Kubernetes either: it fails at run time');
    }
  }
  if (container.lifecycle?.stopSignal) refuse(`${path}.lifecycle.stopSignal`);
  const context = container.securityContext;
  if (!context) return;
  if (context.procMount && context.procMount !== 'Default') refuse(`${path}.securityContext.procMount`);
  findProfiles(context, `${path}.securityContext`, refuse);
}

function findInPodSecurity(spec: PodSpec, refuse: Report): void {
  const context = spec.securityContext;
  if (!context) return;
  const path = 'spec.securityContext';
  findProfiles(context, path, refuse);
  if (context.supplementalGroupsPolicy === 'Strict') refuse(`${path}.supplementalGroupsPolicy`);
  if (context.sysctls?.length) refuse(`${path}.sysctls`);
}

function findProfiles(context: NonNullable<Container['securityContext']>, path: string, refuse: Report): void {
  if (context.seLinuxOptions && Object.keys(context.seLinuxOptions).length > 0) {
    refuse(`${path}.seLinuxOptions`, 'SELinux labels are not supported by kubelette yet');
  }
  if (context.windowsOptions) refuse(`${path}.windowsOptions`, 'kubelette runs Linux pods only');
  if (context.seccompProfile?.type === 'Localhost') refuse(`${path}.seccompProfile.localhostProfile`);
  if (context.appArmorProfile?.type === 'Localhost') refuse(`${path}.appArmorProfile.localhostProfile`);
}
