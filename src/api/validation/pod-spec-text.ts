import { SCHEMA } from '../generated/schema.ts';
import type { PodSpec } from '../generated/types.ts';
import type { FieldSchema } from '../schema-table.ts';

/**
 * A pod's spec as the API server prints it inside: every field in the order of its own structures (`pkg/apis/core/types.go`), unset
 * ones too. Two specs with the same text mean the same; the difference of two texts is what a refused update shows.
 */
export function podSpecText(spec: PodSpec): string[] {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers } = spec;
  // These stand in the security context there.
  const moved = { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers };
  const lines: string[] = [];
  const inner = { ...spec, securityContext: spec.securityContext && { ...spec.securityContext, ...moved } };
  printType('core.v1.PodSpec', inner as unknown as Fields, '', '', '', lines);
  return lines;
}

type Fields = Record<string, unknown>;

/**
 * Field names in order. `*` marks scalars that can be unset, which then print as null instead of a zero value. A name after a colon
 * is the one in JSON where it is not the first one with a small letter.
 */
const STRUCTS: Readonly<Record<string, string>> = {
  PodSpec:
    'Volumes InitContainers Containers EphemeralContainers RestartPolicy TerminationGracePeriodSeconds* ActiveDeadlineSeconds* ' +
    'DNSPolicy:dnsPolicy NodeSelector ServiceAccountName AutomountServiceAccountToken* NodeName SecurityContext ImagePullSecrets ' +
    'Hostname Subdomain SetHostnameAsFQDN* Affinity SchedulerName Tolerations HostAliases PriorityClassName Priority* ' +
    'PreemptionPolicy* DNSConfig:dnsConfig ReadinessGates RuntimeClassName* Overhead EnableServiceLinks* ' +
    'TopologySpreadConstraints OS:os SchedulingGates ResourceClaims Resources HostnameOverride* SchedulingGroup',
  PodSecurityContext:
    'HostNetwork HostPID HostIPC ShareProcessNamespace* HostUsers* SELinuxOptions:seLinuxOptions WindowsOptions* RunAsUser* ' +
    'RunAsGroup* RunAsNonRoot* SupplementalGroups SupplementalGroupsPolicy* FSGroup*:fsGroup ' +
    'FSGroupChangePolicy*:fsGroupChangePolicy Sysctls SeccompProfile AppArmorProfile SELinuxChangePolicy*:seLinuxChangePolicy',
  SecurityContext:
    'Capabilities Privileged* SELinuxOptions:seLinuxOptions WindowsOptions* RunAsUser* RunAsGroup* RunAsNonRoot* ' +
    'ReadOnlyRootFilesystem* AllowPrivilegeEscalation* ProcMount* SeccompProfile AppArmorProfile',
  Capabilities: 'Add Drop',
  SELinuxOptions: 'User Role Type Level',
  SeccompProfile: 'Type LocalhostProfile*',
  AppArmorProfile: 'Type LocalhostProfile*',
  Sysctl: 'Name Value',
  Volume:
    'Name HostPath EmptyDir GCEPersistentDisk:gcePersistentDisk AWSElasticBlockStore:awsElasticBlockStore GitRepo Secret ' +
    'NFS:nfs ISCSI:iscsi Glusterfs PersistentVolumeClaim RBD:rbd Quobyte FlexVolume Cinder CephFS:cephfs Flocker ' +
    'DownwardAPI FC:fc AzureFile ConfigMap VsphereVolume AzureDisk PhotonPersistentDisk Projected PortworxVolume ScaleIO ' +
    'StorageOS:storageos CSI:csi Ephemeral Image',
  HostPathVolumeSource: 'Path Type*',
  EmptyDirVolumeSource: 'Medium SizeLimit*',
  SecretVolumeSource: 'SecretName Items DefaultMode* Optional*',
  ConfigMapVolumeSource: 'Name Items DefaultMode* Optional*',
  KeyToPath: 'Key Path Mode*',
  DownwardAPIVolumeSource: 'Items DefaultMode*',
  DownwardAPIVolumeFile: 'Path FieldRef ResourceFieldRef Mode*',
  ProjectedVolumeSource: 'Sources DefaultMode*',
  VolumeProjection: 'Secret DownwardAPI ConfigMap ServiceAccountToken ClusterTrustBundle PodCertificate',
  SecretProjection: 'Name Items Optional*',
  ConfigMapProjection: 'Name Items Optional*',
  DownwardAPIProjection: 'Items',
  ServiceAccountTokenProjection: 'Audience ExpirationSeconds Path',
  ImageVolumeSource: 'Reference PullPolicy',
  PersistentVolumeClaimVolumeSource: 'ClaimName ReadOnly',
  Container:
    'Name Image Command Args WorkingDir Ports EnvFrom Env Resources ResizePolicy RestartPolicy* RestartPolicyRules VolumeMounts ' +
    'VolumeDevices LivenessProbe ReadinessProbe StartupProbe Lifecycle TerminationMessagePath TerminationMessagePolicy ' +
    'ImagePullPolicy SecurityContext Stdin StdinOnce TTY:tty',
  ContainerPort: 'Name HostPort ContainerPort Protocol HostIP',
  EnvFromSource: 'Prefix ConfigMapRef SecretRef',
  ConfigMapEnvSource: 'Name Optional*',
  SecretEnvSource: 'Name Optional*',
  EnvVar: 'Name Value ValueFrom',
  EnvVarSource: 'FieldRef ResourceFieldRef ConfigMapKeyRef SecretKeyRef FileKeyRef',
  ObjectFieldSelector: 'APIVersion:apiVersion FieldPath',
  ResourceFieldSelector: 'ContainerName Resource Divisor',
  ConfigMapKeySelector: 'Name Key Optional*',
  SecretKeySelector: 'Name Key Optional*',
  ResourceRequirements: 'Limits Requests Claims',
  ContainerResizePolicy: 'ResourceName RestartPolicy',
  ContainerRestartRule: 'Action ExitCodes',
  ContainerRestartRuleOnExitCodes: 'Operator Values',
  VolumeMount: 'Name ReadOnly RecursiveReadOnly* MountPath SubPath MountPropagation* SubPathExpr',
  VolumeDevice: 'Name DevicePath',
  Probe:
    'Exec HTTPGet:httpGet TCPSocket:tcpSocket GRPC:grpc InitialDelaySeconds TimeoutSeconds PeriodSeconds SuccessThreshold ' +
    'FailureThreshold TerminationGracePeriodSeconds*',
  Lifecycle: 'PostStart PreStop StopSignal*',
  LifecycleHandler: 'Exec HTTPGet:httpGet TCPSocket:tcpSocket Sleep',
  ExecAction: 'Command',
  HTTPGetAction: 'Path Port Host Scheme HTTPHeaders:httpHeaders',
  HTTPHeader: 'Name Value',
  TCPSocketAction: 'Port Host',
  GRPCAction: 'Port Service*',
  SleepAction: 'Seconds',
  LocalObjectReference: 'Name',
  PodDNSConfig: 'Nameservers Searches Options',
  PodDNSConfigOption: 'Name Value*',
  PodReadinessGate: 'ConditionType',
  PodSchedulingGate: 'Name',
  HostAlias: 'IP:ip Hostnames',
  PodOS: 'Name',
  Toleration: 'Key Operator Value Effect TolerationSeconds*',
  TopologySpreadConstraint:
    'MaxSkew TopologyKey WhenUnsatisfiable LabelSelector MinDomains* NodeAffinityPolicy* NodeTaintsPolicy* MatchLabelKeys',
};

/** Structures that are not behind a pointer: unset, they print with all their fields unset. */
const EMBEDDED: ReadonlySet<string> = new Set(['Container.Resources', 'EphemeralContainer.Resources']);

interface StructField {
  readonly name: string;
  readonly json: string;
  readonly unset: boolean;
}

const parsed = new Map<string, readonly StructField[]>();

function structFields(type: string, value: Fields): readonly StructField[] {
  let fields = parsed.get(type);
  if (fields) return fields;
  const text = STRUCTS[type];
  if (text === undefined) {
    // A structure that is not listed: what it has, in the order in which it was written.
    return Object.keys(value).map((json) => ({
      name: json.charAt(0).toUpperCase() + json.slice(1),
      json,
      unset: true,
    }));
  }
  fields = text.split(' ').map((word) => {
    const [, name = '', star, json] = /^(\w+)(\*)?(?::(\w+))?$/.exec(word)!;
    return { name, json: json ?? name.charAt(0).toLowerCase() + name.slice(1), unset: star === '*' };
  });
  parsed.set(type, fields);
  return fields;
}

/** @param before what stands before the opening brace @param after the comma behind the closing one */
function printType(
  typeName: string,
  value: Fields,
  indent: string,
  before: string,
  after: string,
  lines: string[],
): void {
  // Types shared by all groups have names in JSON also inside.
  if (typeName.startsWith('meta.v1.')) {
    printPlain(value, indent, before, after, lines);
    return;
  }
  const type = typeName.slice(typeName.lastIndexOf('.') + 1);
  const fields = structFields(type, value);
  if (fields.length === 0) {
    lines.push(`${indent}${before}{}${after}`);
    return;
  }
  lines.push(`${indent}${before}{`);
  const schemas = SCHEMA[typeName]?.fields ?? {};
  for (const [i, { name, json, unset }] of fields.entries()) {
    const comma = i < fields.length - 1 ? ',' : '';
    const embedded = EMBEDDED.has(`${type}.${name}`);
    const member = value[json] ?? (embedded ? {} : undefined);
    printField(member, schemas[json], unset, `${indent} `, `"${name}": `, comma, lines);
  }
  lines.push(`${indent}}${after}`);
}

function printField(
  value: unknown,
  schema: FieldSchema | undefined,
  unset: boolean,
  indent: string,
  before: string,
  after: string,
  lines: string[],
): void {
  const empty = value === undefined || value === null || (Array.isArray(value) && value.length === 0);
  if (empty) {
    lines.push(`${indent}${before}${unset ? 'null' : zeroOf(schema)}${after}`);
  } else if (Array.isArray(value)) {
    lines.push(`${indent}${before}[`);
    for (const [i, member] of value.entries()) {
      printField(member, schema?.items, false, `${indent} `, '', i < value.length - 1 ? ',' : '', lines);
    }
    lines.push(`${indent}]${after}`);
  } else if (typeof value === 'object') {
    if (schema?.ref) printType(schema.ref, value as Fields, indent, before, after, lines);
    else printPlain(value as Fields, indent, before, after, lines);
  } else {
    lines.push(`${indent}${before}${printScalar(value)}${after}`);
  }
}

function zeroOf(schema: FieldSchema | undefined): string {
  if (schema?.ref === 'util.intstr.IntOrString') return '0';
  if (schema?.ref === 'api.resource.Quantity') return '"0"';
  switch (schema?.type) {
    case 'string':
      return '""';
    case 'integer':
      return '0';
    case 'boolean':
      return 'false';
    case undefined:
      // The host namespaces, which the published security context does not have.
      return schema === undefined ? 'false' : 'null';
    default:
      return 'null';
  }
}

/** A map: its keys sorted. */
function printPlain(value: Fields, indent: string, before: string, after: string, lines: string[]): void {
  const text = JSON.stringify(
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))),
    undefined,
    1,
  );
  const [first = '', ...rest] = escapeHTML(text).split('\n');
  const printed = [`${before}${first}`, ...rest].map((line) => `${indent}${line}`);
  printed[printed.length - 1] += after;
  lines.push(...printed);
}

function printScalar(value: unknown): string {
  return escapeHTML(JSON.stringify(value));
}

/** As Go's encoder writes JSON. */
function escapeHTML(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
