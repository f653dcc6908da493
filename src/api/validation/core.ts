import { isDeepStrictEqual } from 'node:util';
import type {
  ConfigMap,
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointSlice,
  Endpoints,
  Lease,
  Namespace,
  Node,
  Secret,
  ServiceAccount,
} from '../generated/types.ts';
import { jsonKind } from '../go-text.ts';
import { JsonSyntaxError, parseJson } from '../json-text.ts';
import {
  isConfigMapKey,
  isDNS1123Label,
  isDNS1123Subdomain,
  isLabelValue,
  isPortNumber,
  isQualifiedName,
} from '../name-rules.ts';
import { ownValue } from '../own-value.ts';
import { requireOneOf } from './container.ts';
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from './field-error.ts';
import { validateCanonicalIP, validateEndpointIP, validateIP } from './ip-address.ts';
import {
  FIELD_IS_IMMUTABLE,
  NOT_NEGATIVE,
  nameIsLabel,
  nameIsSubdomain,
  pushInvalid,
  validateImmutable,
  validateLabels,
  validateObjectMeta,
} from './object-meta.ts';
import { validateTaintEffect } from './scheduling.ts';

/** Rules for the small resources of the core group and their like. */

const MAX_DATA_BYTES = 1024 * 1024;
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

// ---- ConfigMap and Secret

export function validateConfigMap(configMap: ConfigMap, errors: FieldError[]): void {
  validateObjectMeta(configMap.metadata, true, nameIsSubdomain, 'metadata', errors);
  let bytes = 0;
  for (const [key, text] of Object.entries(configMap.data ?? {})) {
    pushInvalid(errors, `data[${key}]`, key, isConfigMapKey(key));
    if (configMap.binaryData && Object.hasOwn(configMap.binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    bytes += Buffer.byteLength(text);
  }
  for (const [key, base64] of Object.entries(configMap.binaryData ?? {})) {
    pushInvalid(errors, `binaryData[${key}]`, key, isConfigMapKey(key));
    bytes += Buffer.byteLength(base64, 'base64');
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLong('', MAX_DATA_BYTES));
}

const WHEN_IMMUTABLE = 'field is immutable when `immutable` is set';

/** An immutable ConfigMap or Secret keeps its data and stays immutable. */
export function validateImmutableData(
  object: ConfigMap & Secret,
  old: ConfigMap & Secret,
  fields: readonly ('data' | 'binaryData')[],
  errors: FieldError[],
): void {
  if (!old.immutable) return;
  if (!object.immutable) errors.push(forbidden('immutable', WHEN_IMMUTABLE));
  for (const field of fields) {
    if (!sameStrings(object[field], old[field])) errors.push(forbidden(field, WHEN_IMMUTABLE));
  }
}

function sameStrings(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

const ACCOUNT_NAME = 'kubernetes.io/service-account.name';
/** Keys that a Secret of a type must have. */
const SECRET_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

export function validateSecret(secret: Secret, errors: FieldError[]): void {
  validateObjectMeta(secret.metadata, true, nameIsSubdomain, 'metadata', errors);
  const data = secret.data ?? {};
  let bytes = 0;
  for (const [key, base64] of Object.entries(data)) {
    pushInvalid(errors, `data[${key}]`, key, isConfigMapKey(key));
    bytes += Buffer.byteLength(base64, 'base64');
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLong('data', MAX_DATA_BYTES));
  const type = secret.type ?? '';
  if (type === 'kubernetes.io/service-account-token' && !secret.metadata.annotations?.[ACCOUNT_NAME]) {
    errors.push(required(`metadata.annotations[${ACCOUNT_NAME}]`));
  }
  if (type === 'kubernetes.io/basic-auth' && data.username === undefined && data.password === undefined) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  for (const key of ownValue(SECRET_KEYS, type) ?? []) {
    const base64 = data[key];
    if (base64 === undefined || (base64 === '' && key === 'ssh-privatekey')) errors.push(required(`data[${key}]`));
    else if (key.startsWith('.docker')) {
      const problem = jsonProblem(Buffer.from(base64, 'base64').toString());
      if (problem) errors.push(invalid(`data[${key}]`, '<secret contents redacted>', problem));
    }
  }
}

/** Why a text is no JSON object, as Go says it. */
function jsonProblem(text: string): string | undefined {
  let value: unknown;
  try {
    ({ value } = parseJson(text));
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message;
    throw error;
  }
  if (typeof value === 'object' && !Array.isArray(value)) return undefined;
  return `json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]interface {}`;
}

export function validateSecretChange(secret: Secret, old: Secret, errors: FieldError[]): void {
  validateImmutable(secret.type, old.type, 'type', errors);
  validateImmutableData(secret, old, ['data'], errors);
}

// ---- Namespace, ServiceAccount, Node

export function validateNamespace(namespace: Namespace, errors: FieldError[]): void {
  validateObjectMeta(namespace.metadata, false, nameIsLabel, 'metadata', errors);
  for (const finalizer of namespace.spec?.finalizers ?? []) {
    pushInvalid(errors, 'spec.finalizers', finalizer, isQualifiedName(finalizer));
    if (!finalizer.includes('/') && finalizer !== 'kubernetes') {
      errors.push(
        invalid('spec.finalizers', finalizer, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
    }
  }
}

export function validateServiceAccount(account: ServiceAccount, errors: FieldError[]): void {
  validateObjectMeta(account.metadata, true, nameIsSubdomain, 'metadata', errors);
}

export function validateNode(node: Node, errors: FieldError[]): void {
  validateObjectMeta(node.metadata, false, nameIsSubdomain, 'metadata', errors);
  const seen = new Set<string>();
  for (const [i, taint] of (node.spec?.taints ?? []).entries()) {
    // Upstream looks for them in the metadata.
    const at = `metadata.taints[${i}]`;
    pushInvalid(errors, `${at}.key`, taint.key, isQualifiedName(taint.key));
    const messages = isLabelValue(taint.value ?? '');
    if (messages.length > 0) errors.push(invalid(`${at}.value`, taint.value, messages.join(';')));
    if (!taint.effect) errors.push(required(`${at}.effect`));
    else validateTaintEffect(taint.effect, `${at}.effect`, errors);
    const id = `${taint.key}/${taint.effect}`;
    if (seen.has(id)) {
      const { key, value = '', effect, timeAdded = null } = taint;
      const shown = { Key: key, Value: value, Effect: effect, TimeAdded: timeAdded };
      errors.push({ ...duplicate(at, shown), detail: 'taints must be unique by key and effect pair' });
    }
    seen.add(id);
  }
}

export function validateNodeChange(node: Node, old: Node, errors: FieldError[]): void {
  for (const field of ['providerID', 'podCIDR'] as const) {
    const before = old.spec?.[field];
    if (before && before !== node.spec?.[field]) {
      errors.push(forbidden(`spec.${field}`, `node updates may not change ${field} except from "" to valid`));
    }
  }
}

// ---- Event and Lease

export function validateLease(lease: Lease, errors: FieldError[]): void {
  validateObjectMeta(lease.metadata, true, nameIsSubdomain, 'metadata', errors);
  const { leaseDurationSeconds: duration, leaseTransitions: transitions } = lease.spec ?? {};
  if (duration !== undefined && duration <= 0) {
    errors.push(invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  }
  if (transitions !== undefined && transitions < 0) {
    errors.push(invalid('spec.leaseTransitions', transitions, NOT_NEGATIVE));
  }
}

// ---- Endpoints and EndpointSlice

export function validateEndpoints(endpoints: Endpoints, errors: FieldError[], old?: Endpoints): void {
  validateObjectMeta(endpoints.metadata, true, nameIsSubdomain, 'metadata', errors);
  // What an older version let in may stay.
  if (old && isDeepStrictEqual(old.subsets, endpoints.subsets)) return;
  for (const [i, subset] of (endpoints.subsets ?? []).entries()) {
    const at = `subsets[${i}]`;
    if (!subset.addresses?.length && !subset.notReadyAddresses?.length) {
      errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const field of ['addresses', 'notReadyAddresses'] as const) {
      for (const [j, { ip, hostname, nodeName }] of (subset[field] ?? []).entries()) {
        const where = `${at}.${field}[${j}]`;
        validateIP(ip, `${where}.ip`, errors);
        if (hostname) pushInvalid(errors, `${where}.hostname`, hostname, isDNS1123Label(hostname));
        if (nodeName !== undefined) pushInvalid(errors, `${where}.nodeName`, nodeName, nameIsSubdomain(nodeName));
        validateEndpointIP(ip, `${where}.ip`, errors);
      }
    }
    const ports = subset.ports ?? [];
    for (const [j, port] of ports.entries()) {
      const where = `${at}.ports[${j}]`;
      if (!port.name && ports.length > 1) errors.push(required(`${where}.name`));
      else if (port.name) pushInvalid(errors, `${where}.name`, port.name, isDNS1123Label(port.name));
      pushInvalid(errors, `${where}.port`, port.port, isPortNumber(port.port));
      requireOneOf(port.protocol ?? 'TCP', PROTOCOLS, `${where}.protocol`, errors);
      validateAppProtocol(port.appProtocol, where, errors);
    }
  }
}

function validateAppProtocol(appProtocol: string | undefined, path: string, errors: FieldError[]): void {
  if (appProtocol !== undefined) {
    pushInvalid(errors, `${path}.appProtocol`, appProtocol, isQualifiedName(appProtocol));
  }
}

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20000;
const MAX_HINTS = 8;
const MAX_TOPOLOGY_LABELS = 16;

export function validateEndpointSlice(slice: EndpointSlice, errors: FieldError[], old?: EndpointSlice): void {
  validateObjectMeta(slice.metadata, true, nameIsSubdomain, 'metadata', errors);
  if (!slice.addressType) errors.push(required('addressType'));
  else if (!ADDRESS_TYPES.includes(slice.addressType)) {
    errors.push(notSupported('addressType', slice.addressType, ADDRESS_TYPES));
  }
  validateSlicePorts(slice.ports ?? [], errors);
  // What an older version let in may stay.
  if (old && isDeepStrictEqual(old.endpoints, slice.endpoints)) return;
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > MAX_ENDPOINTS) errors.push(tooMany('endpoints', endpoints.length, MAX_ENDPOINTS));
  else
    for (const [i, each] of endpoints.entries()) validateEndpoint(each, slice.addressType, `endpoints[${i}]`, errors);
}

function validateEndpoint(endpoint: Endpoint, addressType: string, path: string, errors: FieldError[]): void {
  const at = `${path}.addresses`;
  const addresses = endpoint.addresses ?? [];
  if (addresses.length === 0) errors.push(required(at, 'must contain at least 1 address'));
  if (addresses.length > MAX_ADDRESSES) errors.push(tooMany(at, addresses.length, MAX_ADDRESSES));
  for (const [j, address] of addresses.entries()) {
    const each = `${at}[${j}]`;
    if (addressType === 'FQDN') validateFQDN(address, each, errors);
    else if (addressType === 'IPv4' || addressType === 'IPv6') {
      const isValid = (addressType === 'IPv4' ? validateIP : validateCanonicalIP)(address, each, errors);
      if (!isValid) continue;
      const isOther = address.includes(':') !== (addressType === 'IPv6');
      // Without the address's number, as upstream.
      if (isOther) errors.push(invalid(at, address, `must be an ${addressType} address`));
      validateEndpointIP(address, each, errors);
    }
  }
  const { nodeName, hostname, hints, deprecatedTopology = {} } = endpoint;
  if (nodeName !== undefined) pushInvalid(errors, `${path}.nodeName`, nodeName, nameIsSubdomain(nodeName));
  const labels = Object.keys(deprecatedTopology).length;
  const topology = `${path}.deprecatedTopology`;
  if (labels > MAX_TOPOLOGY_LABELS) errors.push(tooMany(topology, labels, MAX_TOPOLOGY_LABELS));
  validateLabels(deprecatedTopology, topology, errors);
  if (hostname !== undefined) pushInvalid(errors, `${path}.hostname`, hostname, isDNS1123Label(hostname));
  validateHints(hints?.forZones, `${path}.hints.forZones`, isLabelValue, errors);
  validateHints(hints?.forNodes, `${path}.hints.forNodes`, nameIsSubdomain, errors);
}

function validateFQDN(address: string, path: string, errors: FieldError[]): void {
  if (address === '') {
    errors.push(required(path));
    return;
  }
  const name = address.replace(/\.$/, '');
  const messages = isDNS1123Subdomain(name);
  if (messages.length > 0) errors.push(invalid(path, name, messages.join(',')));
  else if (!name.includes('.')) {
    errors.push(invalid(path, name, 'should be a domain with at least two segments separated by dots'));
  } else {
    const label = name.split('.').find((each) => isDNS1123Label(each).length > 0);
    if (label !== undefined) errors.push(invalid(path, label, isDNS1123Label(label).join(',')));
  }
}

function validateHints(
  hints: readonly { readonly name: string }[] = [],
  path: string,
  rule: (name: string) => string[],
  errors: FieldError[],
): void {
  if (hints.length > MAX_HINTS) {
    errors.push(tooMany(path, hints.length, MAX_HINTS));
    return;
  }
  const names = new Set<string>();
  for (const [i, { name }] of hints.entries()) {
    if (names.has(name)) errors.push(duplicate(`${path}[${i}].name`, name));
    names.add(name);
    pushInvalid(errors, `${path}[${i}].name`, name, rule(name));
  }
}

function validateSlicePorts(ports: readonly DiscoveryV1EndpointPort[], errors: FieldError[]): void {
  if (ports.length > MAX_PORTS) {
    errors.push(tooMany('ports', ports.length, MAX_PORTS));
    return;
  }
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const name = port.name ?? '';
    if (name !== '') pushInvalid(errors, `ports[${i}].name`, name, isDNS1123Label(name));
    if (names.has(name)) errors.push(duplicate(`ports[${i}].name`, name));
    names.add(name);
    const { protocol = 'TCP' } = port;
    if (!PROTOCOLS.includes(protocol)) errors.push(notSupported(`ports[${i}].protocol`, protocol, PROTOCOLS));
    validateAppProtocol(port.appProtocol, `ports[${i}]`, errors);
  }
}

export function validateEndpointSliceChange(slice: EndpointSlice, old: EndpointSlice, errors: FieldError[]): void {
  validateEndpointSlice(slice, errors, old);
  if (slice.addressType !== old.addressType) {
    errors.push(invalid('addressType', slice.addressType, FIELD_IS_IMMUTABLE));
  }
}
