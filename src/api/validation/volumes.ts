import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ObjectFieldSelector,
  ObjectMeta,
  ProjectedVolumeSource,
  ResourceFieldSelector,
  Volume,
} from '../generated/types.ts';
import { isDNS1123Label, isDNS1123Subdomain, isQualifiedName } from '../name-rules.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from './field-error.ts';
import { pushInvalid } from './object-meta.ts';

const FILE_MODE = 'must be a number between 0 and 0777 (octal), both inclusive';

const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** Volume sources in the order in which upstream looks at them: the first one found counts, the others are forbidden. */
const SOURCES = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
] as const satisfies readonly (keyof Volume)[];

/** Judges the pod's volumes; returns the sound ones by name, which mounts may name. */
export function validateVolumes(
  volumes: readonly Volume[],
  metadata: ObjectMeta | undefined,
  path: string,
  errors: FieldError[],
): Map<string, Volume> {
  const sound = new Map<string, Volume>();
  for (const [i, volume] of volumes.entries()) {
    const at = `${path}[${i}]`;
    const before = errors.length;
    validateSource(volume, metadata, at, errors);
    if (!volume.name) errors.push(required(`${at}.name`));
    else pushInvalid(errors, `${at}.name`, volume.name, isDNS1123Label(volume.name));
    if (sound.has(volume.name)) errors.push(duplicate(`${at}.name`, volume.name));
    if (errors.length === before) sound.set(volume.name, volume);
  }
  return sound;
}

function validateSource(volume: Volume, metadata: ObjectMeta | undefined, path: string, errors: FieldError[]): void {
  let found = false;
  for (const source of SOURCES) {
    if (volume[source] === undefined) continue;
    if (found) {
      errors.push(forbidden(`${path}.${source}`, 'may not specify more than 1 volume type'));
      continue;
    }
    found = true;
    validateOneSource(volume, source, metadata, `${path}.${source}`, errors);
  }
  if (!found) errors.push(required(path, 'must specify a volume type'));
}

/** Sources that kubelette refuses anyway are only checked for what they cannot do without. */
const REQUIRED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  gitRepo: ['repository'],
  gcePersistentDisk: ['pdName'],
  awsElasticBlockStore: ['volumeID'],
  nfs: ['server', 'path'],
  iscsi: ['targetPortal', 'iqn'],
  glusterfs: ['endpoints', 'path'],
  persistentVolumeClaim: ['claimName'],
  rbd: ['monitors', 'image'],
  cinder: ['volumeID'],
  cephfs: ['monitors'],
  quobyte: ['registry', 'volume'],
  flexVolume: ['driver'],
  azureFile: ['secretName', 'shareName'],
  vsphereVolume: ['volumePath'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  azureDisk: ['diskName', 'diskURI'],
  storageos: ['volumeName'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  csi: ['driver'],
  ephemeral: ['volumeClaimTemplate'],
};

function validateOneSource(
  volume: Volume,
  source: (typeof SOURCES)[number],
  metadata: ObjectMeta | undefined,
  path: string,
  errors: FieldError[],
): void {
  switch (source) {
    case 'emptyDir': {
      const limit = volume.emptyDir?.sizeLimit;
      if (limit !== undefined && compareQuantities(String(limit), '0') < 0) {
        errors.push(forbidden(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
      }
      return;
    }
    case 'hostPath': {
      const { path: hostPath, type } = volume.hostPath!;
      if (!hostPath) {
        errors.push(required(`${path}.path`));
        return;
      }
      validateNoBacksteps(hostPath, `${path}.path`, errors);
      if (type !== undefined && !HOST_PATH_TYPES.includes(type)) {
        errors.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES));
      }
      return;
    }
    case 'secret':
      if (!volume.secret!.secretName) errors.push(required(`${path}.secretName`));
      validateFiles(volume.secret!, path, errors);
      return;
    case 'configMap':
      if (!volume.configMap!.name) errors.push(required(`${path}.name`));
      validateFiles(volume.configMap!, path, errors);
      return;
    case 'downwardAPI':
      validateMode(volume.downwardAPI!.defaultMode, `${path}.defaultMode`, errors);
      for (const file of volume.downwardAPI!.items ?? []) validateDownwardFile(file, path, errors);
      return;
    case 'projected':
      validateMode(volume.projected!.defaultMode, `${path}.defaultMode`, errors);
      validateProjected(volume.projected!, path, errors);
      return;
    case 'ephemeral':
      if (metadata?.name && volume.name) {
        const claim = `${metadata.name}-${volume.name}`;
        for (const message of isDNS1123Subdomain(claim)) {
          errors.push(invalid(`${path}.name`, volume.name, `PVC name ${JSON.stringify(claim)}: ${message}`));
        }
      }
      break;
    case 'image':
      if (volume.image!.pullPolicy) {
        const policies = ['Always', 'IfNotPresent', 'Never'];
        if (!policies.includes(volume.image!.pullPolicy)) {
          errors.push(notSupported(`${path}.pullPolicy`, volume.image!.pullPolicy, policies));
        }
      }
      if (!volume.image!.reference) errors.push(required(`${path}.reference`));
      return;
    default:
  }
  const fields = volume[source] as unknown as Record<string, unknown>;
  for (const field of REQUIRED_FIELDS[source] ?? []) {
    const value = fields[field];
    if (!value || (Array.isArray(value) && value.length === 0)) errors.push(required(`${path}.${field}`));
  }
}

function validateMode(mode: number | undefined, path: string, errors: FieldError[]): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) errors.push(invalid(path, mode, FILE_MODE));
}

function validateFiles(
  source: { readonly defaultMode?: number; readonly items?: readonly KeyToPath[] },
  path: string,
  errors: FieldError[],
): void {
  validateMode(source.defaultMode, `${path}.defaultMode`, errors);
  for (const [i, item] of (source.items ?? []).entries()) validateKeyToPath(item, `${path}.items[${i}]`, errors);
}

function validateKeyToPath(item: KeyToPath, path: string, errors: FieldError[]): void {
  if (!item.key) errors.push(required(`${path}.key`));
  if (!item.path) errors.push(required(`${path}.path`));
  else validateFilePath(item.path, `${path}.path`, errors);
  validateMode(item.mode, `${path}.mode`, errors);
}

const VOLUME_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

function validateDownwardFile(file: DownwardAPIVolumeFile, path: string, errors: FieldError[]): void {
  if (!file.path) errors.push(required(`${path}.path`));
  else validateFilePath(file.path, `${path}.path`, errors);
  if (file.fieldRef) {
    validateFieldSelector(file.fieldRef, VOLUME_FIELDS, `${path}.fieldRef`, errors);
    if (file.resourceFieldRef) {
      errors.push(invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    }
  } else if (file.resourceFieldRef) {
    validateResourceSelector(file.resourceFieldRef, true, `${path}.resourceFieldRef`, errors);
  } else {
    errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'));
  }
  validateMode(file.mode, `${path}.mode`, errors);
}

function validateProjected(projected: ProjectedVolumeSource, path: string, errors: FieldError[]): void {
  const paths = new Set<string>();
  const claim = (file: string | undefined, shown: string): void => {
    if (!file) return;
    if (paths.has(file)) errors.push(invalid(path, shown, 'conflicting duplicate paths'));
    paths.add(file);
  };
  for (const [i, source] of (projected.sources ?? []).entries()) {
    const at = `${path}.sources[${i}]`;
    for (const kind of ['secret', 'configMap'] as const) {
      const files = source[kind];
      if (!files) continue;
      if (!files.name) errors.push(required(`${at}.${kind}.name`));
      for (const [j, item] of (files.items ?? []).entries()) {
        validateKeyToPath(item, `${at}.${kind}.items[${j}]`, errors);
        claim(item.path, files.name ?? '');
      }
    }
    for (const file of source.downwardAPI?.items ?? []) {
      validateDownwardFile(file, `${at}.downwardAPI`, errors);
      claim(file.path, file.path);
    }
    const token = source.serviceAccountToken;
    if (token) {
      const seconds = token.expirationSeconds ?? 0;
      const where = `${at}.serviceAccountToken.expirationSeconds`;
      if (seconds < 600) errors.push(invalid(where, seconds, 'may not specify a duration less than 10 minutes'));
      if (seconds > 2 ** 32)
        errors.push(invalid(where, seconds, 'may not specify a duration larger than 2^32 seconds'));
      if (!token.path) errors.push(required(`${path}.path`));
      else validateFilePath(token.path, `${path}.path`, errors);
    }
    if (source.clusterTrustBundle) {
      const bundle = source.clusterTrustBundle;
      if (!bundle.name && !bundle.signerName) {
        errors.push(required(`${at}.clusterTrustBundle`, 'either name or signerName must be specified'));
      }
      if (!bundle.path) errors.push(required(`${at}.clusterTrustBundle.path`));
      else validateFilePath(bundle.path, `${at}.clusterTrustBundle.path`, errors);
    }
    if (Object.values(source).filter((value) => value !== undefined).length > 1) {
      errors.push(forbidden(at, 'may not specify more than 1 volume type per source'));
    }
  }
}

/** No step up, wherever it stands. */
export function validateNoBacksteps(text: string, path: string, errors: FieldError[]): void {
  if (text.split('/').includes('..')) errors.push(invalid(path, text, "must not contain '..'"));
}

/** A path below a volume. */
export function validateDescendingPath(text: string, path: string, errors: FieldError[]): void {
  if (text.startsWith('/')) errors.push(invalid(path, text, 'must be a relative path'));
  validateNoBacksteps(text, path, errors);
}

/** A file's path in a volume whose own data lies in names that start with two dots. */
function validateFilePath(text: string, path: string, errors: FieldError[]): void {
  validateDescendingPath(text, path, errors);
  if (text.startsWith('..') && !text.startsWith('../')) errors.push(invalid(path, text, "must not start with '..'"));
}

/** Pod fields that the downward API can name at all. */
const DOWNWARD_FIELDS: ReadonlySet<string> = new Set([
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.serviceAccountName',
  'spec.schedulerName',
  'status.phase',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
  'spec.host',
]);

/** @param supported the fields that may be named here, without subscript */
export function validateFieldSelector(
  selector: ObjectFieldSelector,
  supported: readonly string[],
  path: string,
  errors: FieldError[],
): void {
  if (!selector.apiVersion) {
    errors.push(required(`${path}.apiVersion`));
    return;
  }
  const field = selector.fieldPath;
  if (!field) {
    errors.push(required(`${path}.fieldPath`));
    return;
  }
  const refusal = conversionError(selector.apiVersion, field);
  if (refusal) {
    errors.push(invalid(`${path}.fieldPath`, field, `error converting fieldPath: ${refusal}`));
    return;
  }
  const [, base, key] = SUBSCRIPTED.exec(field) ?? [];
  if (key !== undefined) {
    const name = base === 'metadata.annotations' ? key.toLowerCase() : key;
    pushInvalid(errors, path, name, isQualifiedName(name));
    return;
  }
  const internal = field === 'spec.host' ? 'spec.nodeName' : field;
  if (!supported.includes(internal)) errors.push(notSupported(`${path}.fieldPath`, internal, supported));
}

/** `metadata.labels['key']` */
const SUBSCRIPTED = /^([^[]*)\['(.*)'\]$/s;

/** Why the API cannot name this pod field, or undefined. */
function conversionError(apiVersion: string, field: string): string | undefined {
  if (apiVersion !== 'v1') return `unsupported pod version: ${apiVersion}`;
  const base = SUBSCRIPTED.exec(field)?.[1];
  if (base !== undefined) {
    return base === 'metadata.annotations' || base === 'metadata.labels'
      ? undefined
      : `field label does not support subscript: ${field}`;
  }
  return DOWNWARD_FIELDS.has(field) ? undefined : `field label not supported: ${field}`;
}

const RESOURCE_FIELDS = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const SIZE_DIVISORS = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

/** @param inVolume a volume belongs to no container and must name one */
export function validateResourceSelector(
  selector: ResourceFieldSelector,
  inVolume: boolean,
  path: string,
  errors: FieldError[],
): void {
  const { resource } = selector;
  const hugePages = /^(?:requests|limits)\.hugepages-/.test(resource ?? '');
  if (inVolume && !selector.containerName) errors.push(required(`${path}.containerName`));
  else if (!resource) errors.push(required(`${path}.resource`));
  else if (!RESOURCE_FIELDS.includes(resource) && !hugePages) {
    errors.push(notSupported(`${path}.resource`, resource, RESOURCE_FIELDS));
  }
  const divisor = canonicalQuantity(String(selector.divisor ?? '0'));
  if (divisor === '0' || !resource) return;
  const [, kind = ''] = resource.split(/\.(.*)/s);
  const allowed = kind === 'cpu' ? ['1m', '1'] : SIZE_DIVISORS;
  if (allowed.includes(divisor)) return;
  const words =
    kind === 'cpu'
      ? "only divisor's values 1m and 1 are supported with the cpu resource"
      : `only divisor's values ${SIZE_DIVISORS.join(', ')} are supported with the ${
          hugePages ? 'hugepages' : kind === 'ephemeral-storage' ? 'local ephemeral storage' : kind
        } resource`;
  errors.push(invalid(`${path}.divisor`, resource, words));
}
