import type {
  Container,
  ContainerPort,
  EnvFromSource,
  EnvVar,
  HTTPGetAction,
  LifecycleHandler,
  PodSpec,
  Probe,
  Volume,
} from '../generated/types.ts';
import {
  isConfigMapKey,
  isDNS1123Label,
  isDNS1123Subdomain,
  isEnvVarName,
  isHTTPHeaderName,
  isPortName,
  isPortNumber,
} from '../name-rules.ts';
import { isSidecar } from '../pod-resources.ts';
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
  tooMany,
} from './field-error.ts';
import { NOT_NEGATIVE, pushInvalid } from './object-meta.ts';
import { validateResourceRequirements } from './resources.ts';
import { validateSecurityContext } from './security-context.ts';
import { validateDescendingPath, validateFieldSelector, validateResourceSelector } from './volumes.ts';

/** What of a pod its containers are judged against. */
export interface PodContext {
  readonly spec: PodSpec;
  /** The sound volumes by name. */
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly claims: ReadonlySet<string>;
}

/** `spec.containers` */
export function validateContainers(context: PodContext, path: string, errors: FieldError[]): void {
  const containers = context.spec.containers ?? [];
  if (containers.length === 0) {
    errors.push(required(path));
    return;
  }
  const names = new Set<string>();
  for (const [i, container] of containers.entries()) {
    const at = `${path}[${i}]`;
    validateCommon(container, context, at, errors);
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    validateHooksAndProbes(container, context, at, errors);
    validateRestartPolicy(container, at, errors);
  }
  validateUniqueHostPorts(containers, path, errors);
}

/** `spec.initContainers`, sidecars among them */
export function validateInitContainers(context: PodContext, path: string, errors: FieldError[]): void {
  const names = new Set((context.spec.containers ?? []).map((container) => container.name));
  for (const [i, container] of (context.spec.initContainers ?? []).entries()) {
    const at = `${path}[${i}]`;
    validateCommon(container, context, at, errors);
    validateRestartPolicy(container, at, errors);
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    else if (container.name) names.add(container.name);
    validateUniqueHostPorts([container], path, errors);
    if (isSidecar(container)) {
      validateHooksAndProbes(container, context, at, errors);
      continue;
    }
    for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
      if (container[field] !== undefined) {
        errors.push(forbidden(`${at}.${field}`, 'may not be set for init containers without restartPolicy=Always'));
      }
    }
  }
}

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const MESSAGE_POLICIES = ['File', 'FallbackToLogsOnError'];

function validateCommon(container: Container, context: PodContext, path: string, errors: FieldError[]): void {
  if (!container.name) errors.push(required(`${path}.name`));
  else pushInvalid(errors, `${path}.name`, container.name, isDNS1123Label(container.name));
  if (!container.image) errors.push(required(`${path}.image`));
  requireOneOf(container.terminationMessagePolicy, MESSAGE_POLICIES, `${path}.terminationMessagePolicy`, errors);
  if (container.ports) validatePorts(container.ports, `${path}.ports`, errors);
  if (container.env) validateEnv(container.env, `${path}.env`, errors);
  if (container.envFrom) validateEnvFrom(container.envFrom, `${path}.envFrom`, errors);
  validateMounts(container, context.volumes, `${path}.volumeMounts`, errors);
  validateDevices(container, context.volumes, `${path}.volumeDevices`, errors);
  requireOneOf(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`, errors);
  if (container.resources) {
    validateResourceRequirements(container.resources, context.claims, `${path}.resources`, errors);
  }
  validateResizePolicy(container, context.spec, `${path}.resizePolicy`, errors);
  const hostUsers = context.spec.hostUsers !== false;
  validateSecurityContext(container.securityContext, hostUsers, `${path}.securityContext`, errors);
}

/** @param supported in the order in which the message lists them */
export function requireOneOf(
  value: string | undefined,
  supported: readonly string[],
  path: string,
  errors: FieldError[],
): void {
  if (!value) errors.push(required(path));
  else if (!supported.includes(value)) errors.push(notSupported(path, value, supported));
}

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

function validatePorts(ports: readonly ContainerPort[], path: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const at = `${path}[${i}]`;
    if (port.name) {
      const messages = isPortName(port.name);
      pushInvalid(errors, `${at}.name`, port.name, messages);
      if (messages.length === 0) {
        if (names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name));
        names.add(port.name);
      }
    }
    if (!port.containerPort) errors.push(required(`${at}.containerPort`));
    else pushInvalid(errors, `${at}.containerPort`, port.containerPort, isPortNumber(port.containerPort));
    if (port.hostPort) pushInvalid(errors, `${at}.hostPort`, port.hostPort, isPortNumber(port.hostPort));
    requireOneOf(port.protocol, PROTOCOLS, `${at}.protocol`, errors);
  }
}

function validateUniqueHostPorts(containers: readonly Container[], path: string, errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [i, container] of containers.entries()) {
    for (const [j, { hostPort, hostIP = '', protocol }] of (container.ports ?? []).entries()) {
      if (!hostPort) continue;
      const id = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(id)) errors.push(duplicate(`${path}[${i}].ports[${j}].hostPort`, id));
      taken.add(id);
    }
  }
}

// ---- environment

const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

function validateEnv(env: readonly EnvVar[], path: string, errors: FieldError[]): void {
  for (const [i, variable] of env.entries()) {
    const at = `${path}[${i}]`;
    if (!variable.name) errors.push(required(`${at}.name`));
    else pushInvalid(errors, `${at}.name`, variable.name, isEnvVarName(variable.name));
    if (variable.valueFrom) validateEnvSource(variable, `${at}.valueFrom`, errors);
  }
}

function validateEnvSource({ value, valueFrom = {} }: EnvVar, path: string, errors: FieldError[]): void {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom;
  if (fieldRef) validateFieldSelector(fieldRef, ENV_FIELDS, `${path}.fieldRef`, errors);
  if (resourceFieldRef) validateResourceSelector(resourceFieldRef, false, `${path}.resourceFieldRef`, errors);
  if (configMapKeyRef) validateKeySelector(configMapKeyRef, `${path}.configMapKeyRef`, errors);
  if (secretKeyRef) validateKeySelector(secretKeyRef, `${path}.secretKeyRef`, errors);
  if (fileKeyRef) {
    if (!fileKeyRef.key) errors.push(required(`${path}.fileKeyRef.key`));
    if (!fileKeyRef.path) errors.push(required(`${path}.fileKeyRef.path`));
    else validateDescendingPath(fileKeyRef.path, `${path}.fileKeyRef.path`, errors);
    if (!fileKeyRef.volumeName) errors.push(required(`${path}.fileKeyRef.volumeName`));
  }
  const sources = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(Boolean).length;
  if (sources === 0) {
    const words =
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';
    errors.push(invalid(path, '', words));
  } else if (value) {
    errors.push(invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (sources > 1) {
    errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
  }
}

function validateKeySelector(
  selector: { readonly name?: string; readonly key: string },
  path: string,
  errors: FieldError[],
): void {
  const { name = '', key } = selector;
  pushInvalid(errors, `${path}.name`, name, isDNS1123Subdomain(name));
  if (!key) errors.push(required(`${path}.key`));
  else pushInvalid(errors, `${path}.key`, key, isConfigMapKey(key));
}

function validateEnvFrom(sources: readonly EnvFromSource[], path: string, errors: FieldError[]): void {
  for (const [i, { prefix, configMapRef, secretRef }] of sources.entries()) {
    const at = `${path}[${i}]`;
    if (prefix) pushInvalid(errors, `${at}.prefix`, prefix, isEnvVarName(prefix));
    if (configMapRef) validateReference(configMapRef, `${at}.configMapRef`, errors);
    if (secretRef) validateReference(secretRef, `${at}.secretRef`, errors);
    if (!configMapRef && !secretRef) {
      errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (configMapRef && secretRef) {
      errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
    }
  }
}

function validateReference({ name }: { readonly name?: string }, path: string, errors: FieldError[]): void {
  if (!name) errors.push(required(`${path}.name`));
  else pushInvalid(errors, `${path}.name`, name, isDNS1123Subdomain(name));
}

// ---- mounts

const PROPAGATIONS = ['Bidirectional', 'HostToContainer', 'None'];
const RECURSIVE_READ_ONLY = ['Disabled', 'Enabled', 'IfPossible'];

function validateMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  const paths = new Set<string>();
  const devices = container.volumeDevices ?? [];
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}[${i}]`;
    const { name, mountPath, subPath, subPathExpr } = mount;
    if (!name) errors.push(required(`${at}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${at}.name`, name));
    if (!mountPath) errors.push(required(`${at}.mountPath`));
    if (paths.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    if (devices.some((device) => device.name === name)) {
      errors.push(invalid(`${at}.name`, name, 'must not already exist in volumeDevices'));
    }
    if (devices.some((device) => device.devicePath === mountPath)) {
      errors.push(invalid(`${at}.mountPath`, mountPath, 'must not already exist as a path in volumeDevices'));
    }
    // Upstream names these fields without the mount's index.
    if (subPath) validateDescendingPath(subPath, `${path}.subPath`, errors);
    if (subPathExpr) {
      if (subPath) {
        errors.push(invalid(`${at}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
      }
      validateDescendingPath(subPathExpr, `${path}.subPathExpr`, errors);
    }
    const propagation = mount.mountPropagation;
    if (propagation !== undefined) {
      const where = `${path}.mountPropagation`;
      if (!PROPAGATIONS.includes(propagation)) errors.push(notSupported(where, propagation, PROPAGATIONS));
      if (propagation === 'Bidirectional' && !container.securityContext?.privileged) {
        errors.push(forbidden(where, 'Bidirectional mount propagation is available only to privileged containers'));
      }
    }
    const recursive = mount.recursiveReadOnly;
    if (recursive === undefined || recursive === 'Disabled') continue;
    const where = `${path}.recursiveReadOnly`;
    if (!RECURSIVE_READ_ONLY.includes(recursive)) {
      errors.push(notSupported(where, recursive, RECURSIVE_READ_ONLY));
      continue;
    }
    if (!mount.readOnly) errors.push(forbidden(where, 'may only be specified when readOnly is true'));
    if (propagation !== undefined && propagation !== 'None') {
      errors.push(forbidden(where, 'may only be specified when mountPropagation is None or not specified'));
    }
  }
}

function validateDevices(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  const names = new Set<string>();
  for (const [i, { name, devicePath }] of (container.volumeDevices ?? []).entries()) {
    const at = `${path}[${i}]`;
    const volume = volumes.get(name);
    if (!name) errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, 'must be unique'));
    names.add(name);
    if (!volume) errors.push(notFound(`${at}.name`, name));
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
      errors.push(
        invalid(
          `${at}.name`,
          name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ),
      );
    }
    if (!devicePath) errors.push(required(`${at}.devicePath`));
    else if (devicePath.split('/').includes('..')) {
      errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    }
  }
}

// ---- restarts, hooks, probes

const RESTART_POLICIES = ['Always', 'Never', 'OnFailure'];
const RESTART_ACTIONS = ['Restart', 'RestartAllContainers'];
const EXIT_OPERATORS = ['In', 'NotIn'];
const MAX_RESTART_RULES = 20;
const MAX_EXIT_CODES = 255;

/** A container's own restart policy, and its rules. */
function validateRestartPolicy(container: Container, path: string, errors: FieldError[]): void {
  const { restartPolicy: policy, restartPolicyRules: rules = [] } = container;
  if (policy !== undefined && !RESTART_POLICIES.includes(policy)) {
    errors.push(notSupported(`${path}.restartPolicy`, policy, RESTART_POLICIES));
  }
  if (rules.length === 0) return;
  if (policy === undefined) {
    errors.push(required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  }
  if (rules.length > MAX_RESTART_RULES) {
    errors.push(tooMany(`${path}.restartPolicyRules`, rules.length, MAX_RESTART_RULES));
  }
  for (const [i, { action, exitCodes }] of rules.entries()) {
    const at = `${path}.restartPolicyRules[${i}]`;
    if (!RESTART_ACTIONS.includes(action)) errors.push(notSupported(`${at}.action`, action, RESTART_ACTIONS));
    if (!exitCodes) {
      errors.push(required(`${at}.exitCodes`, 'must be specified'));
      continue;
    }
    if (!EXIT_OPERATORS.includes(exitCodes.operator)) {
      errors.push(notSupported(`${at}.exitCodes.operator`, exitCodes.operator, EXIT_OPERATORS));
    }
    const codes = exitCodes.values?.length ?? 0;
    if (codes > MAX_EXIT_CODES) errors.push(tooMany(`${at}.exitCodes.values`, codes, MAX_EXIT_CODES));
  }
}

const RESIZABLE = ['cpu', 'memory'];
const RESIZE_POLICIES = ['NotRequired', 'RestartContainer'];

function validateResizePolicy(container: Container, spec: PodSpec, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, { resourceName, restartPolicy }] of (container.resizePolicy ?? []).entries()) {
    if (seen.has(resourceName)) errors.push(duplicate(`${path}[${i}]`, resourceName));
    seen.add(resourceName);
    requireOneOf(resourceName, RESIZABLE, path, errors);
    requireOneOf(restartPolicy, RESIZE_POLICIES, path, errors);
    if (spec.restartPolicy === 'Never' && restartPolicy !== 'NotRequired') {
      errors.push(invalid(path, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
    }
  }
}

function validateHooksAndProbes(container: Container, context: PodContext, path: string, errors: FieldError[]): void {
  const grace = context.spec.terminationGracePeriodSeconds;
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = container.lifecycle?.[hook];
    if (handler) validateHandler(handler, grace, `${path}.lifecycle.${hook}`, errors);
  }
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = container[kind];
    if (probe) validateProbe(probe, kind, `${path}.${kind}`, errors);
  }
}

function validateProbe(
  probe: Probe,
  kind: 'livenessProbe' | 'readinessProbe' | 'startupProbe',
  path: string,
  errors: FieldError[],
): void {
  validateHandler(probe, undefined, path, errors);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    const value = probe[field] ?? 0;
    if (value < 0) errors.push(invalid(`${path}.${field}`, value, NOT_NEGATIVE));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  }
  if (kind === 'readinessProbe') {
    if (grace !== undefined) {
      errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
    }
  } else if (probe.successThreshold !== 1) {
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold, 'must be 1'));
  }
}

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

/** Exactly one of the handler types. @param grace the pod's grace period, which a sleep must fit into */
function validateHandler(
  handler: Probe & LifecycleHandler,
  grace: number | undefined,
  path: string,
  errors: FieldError[],
): void {
  let found = false;
  for (const type of HANDLERS) {
    if (handler[type] === undefined) continue;
    const at = `${path}.${type}`;
    if (found) {
      errors.push(forbidden(at, 'may not specify more than 1 handler type'));
      continue;
    }
    found = true;
    switch (type) {
      case 'exec':
        if (!handler.exec?.command?.length) errors.push(required(`${at}.command`));
        break;
      case 'httpGet':
        validateHTTPGet(handler.httpGet!, at, errors);
        break;
      case 'tcpSocket':
      case 'grpc':
        validatePortNumberOrName(handler[type]!.port, `${at}.port`, errors);
        break;
      case 'sleep': {
        const { seconds } = handler.sleep!;
        if (grace !== undefined && (seconds < 0 || seconds > grace)) {
          errors.push(
            invalid(at, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`),
          );
        }
      }
    }
  }
  if (!found) errors.push(required(path, 'must specify a handler type'));
}

const SCHEMES = ['HTTP', 'HTTPS'];

function validateHTTPGet(action: HTTPGetAction, path: string, errors: FieldError[]): void {
  if (!action.path) errors.push(required(`${path}.path`));
  validatePortNumberOrName(action.port, `${path}.port`, errors);
  if (!SCHEMES.includes(action.scheme ?? '')) errors.push(notSupported(`${path}.scheme`, action.scheme ?? '', SCHEMES));
  for (const { name } of action.httpHeaders ?? []) {
    pushInvalid(errors, `${path}.httpHeaders`, name, isHTTPHeaderName(name));
  }
}

export function validatePortNumberOrName(port: number | string | undefined, path: string, errors: FieldError[]): void {
  const value = port ?? 0;
  pushInvalid(errors, path, value, typeof value === 'number' ? isPortNumber(value) : isPortName(value));
}
