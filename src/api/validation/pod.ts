import type { Container, ObjectMeta, Pod, PodDNSConfig, PodSpec } from '../generated/types.ts';
import {
  isDNS1123Label,
  isDNS1123Subdomain,
  isDNS1123SubdomainWithUnderscore,
  isQualifiedName,
} from '../name-rules.ts';
import { requireOneOf, validateContainers, validateInitContainers } from './container.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from './field-error.ts';
import { validateIP } from './ip-address.ts';
import { nameIsSubdomain, pushInvalid, validateLabels, validateObjectMeta } from './object-meta.ts';
import { validatePodResources, validateResourceRequirements } from './resources.ts';
import { validateAffinity, validateTolerations, validateTopologySpread } from './scheduling.ts';
import { validateHostUsers, validatePodSecurityContext } from './security-context.ts';
import { validateVolumes } from './volumes.ts';

/** Rules for pods, in upstream's order: `pkg/apis/core/validation/validation.go` (ValidatePodCreate). */

export function validatePod(pod: Pod, errors: FieldError[]): void {
  validatePodMetadataAndSpec(pod, errors);
  if (pod.spec.ephemeralContainers?.length) {
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (pod.spec.nodeName && pod.spec.schedulingGates?.length) {
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
}

/** What holds on creation and on update. */
export function validatePodMetadataAndSpec(pod: Pod, errors: FieldError[]): void {
  validateObjectMeta(pod.metadata, true, nameIsSubdomain, 'metadata', errors);
  validatePodAnnotations(pod, errors);
  validatePodSpec(pod.spec, pod.metadata, 'spec', errors);
  for (const field of ['containers', 'initContainers'] as const) {
    for (const [i, container] of (pod.spec[field] ?? []).entries()) {
      validateImagePadding(container, `spec.${field}[${i}]`, errors);
    }
  }
}

export function validateImagePadding(container: Container, path: string, errors: FieldError[]): void {
  if (container.image && container.image.trim() !== container.image) {
    errors.push(invalid(`${path}.image`, container.image, 'must not have leading or trailing whitespace'));
  }
}

const MIRROR = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

function validatePodAnnotations(pod: Pod, errors: FieldError[]): void {
  const { annotations } = pod.metadata;
  if (!annotations) return;
  const mirror = annotations[MIRROR];
  if (mirror !== undefined && !pod.spec.nodeName) {
    errors.push(
      invalid(`metadata.annotations[${MIRROR}]`, mirror, 'must set spec.nodeName if mirror pod annotation is set'),
    );
  }
  const cost = annotations[DELETION_COST];
  if (cost !== undefined && (!/^(?:0|-?[1-9][0-9]*)$/.test(cost) || Math.abs(Number(cost)) >= 2 ** 31)) {
    errors.push(invalid(`metadata.annotations[${DELETION_COST}]`, cost, 'must be a 32bit integer'));
  }
}

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const MAX_INT32 = 2 ** 31 - 1;

/** A pod's spec wherever it stands. @param metadata the pod's, where there is a pod */
export function validatePodSpec(
  spec: PodSpec,
  metadata: ObjectMeta | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (spec.terminationGracePeriodSeconds === undefined) errors.push(required(`${path}.terminationGracePeriodSeconds`));
  const volumes = validateVolumes(spec.volumes ?? [], metadata, `${path}.volumes`, errors);
  validateResourceClaims(spec, `${path}.resourceClaims`, errors);
  const claims = new Set((spec.resourceClaims ?? []).map((claim) => claim.name).filter((name) => name !== ''));
  const context = { spec, volumes, claims };
  validateContainers(context, `${path}.containers`, errors);
  validateInitContainers(context, `${path}.initContainers`, errors);
  validatePodResources(spec, `${path}.resources`, errors);
  validateHostNetworkPorts(spec, `${path}.containers`, errors);
  requireOneOf(spec.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`, errors);
  requireOneOf(spec.dnsPolicy, DNS_POLICIES, `${path}.dnsPolicy`, errors);
  if (spec.nodeSelector) validateLabels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  validatePodSecurityContext(spec, `${path}.securityContext`, errors);
  validateAffinity(spec.affinity, `${path}.affinity`, errors);
  validateDNSConfig(spec, `${path}.dnsConfig`, errors);
  for (const [i, { conditionType }] of (spec.readinessGates ?? []).entries()) {
    pushInvalid(errors, `${path}.readinessGates[${i}].conditionType`, conditionType, isQualifiedName(conditionType));
  }
  validateSchedulingGates(spec, `${path}.schedulingGates`, errors);
  validateTopologySpread(spec.topologySpreadConstraints ?? [], `${path}.topologySpreadConstraints`, errors);
  validateHostUsers(spec, path, errors);
  validateName(spec.serviceAccountName, isDNS1123Subdomain, `${path}.serviceAccountName`, errors);
  validateName(spec.nodeName, isDNS1123Subdomain, `${path}.nodeName`, errors);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32)) {
    errors.push(invalid(`${path}.activeDeadlineSeconds`, deadline, `must be between 1 and ${MAX_INT32}, inclusive`));
  }
  validateName(spec.hostname, isDNS1123Label, `${path}.hostname`, errors);
  validateName(spec.subdomain, isDNS1123Label, `${path}.subdomain`, errors);
  validateTolerations(spec.tolerations ?? [], `${path}.tolerations`, errors);
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    validateIP(alias.ip, `${path}.hostAliases[${i}].ip`, errors);
    for (const [j, name] of (alias.hostnames ?? []).entries()) {
      pushInvalid(errors, `${path}.hostAliases[${i}].hostnames[${j}]`, name, isDNS1123Subdomain(name));
    }
  }
  validateName(spec.priorityClassName, isDNS1123Subdomain, `${path}.priorityClassName`, errors);
  if (spec.runtimeClassName !== undefined) {
    const name = spec.runtimeClassName;
    pushInvalid(errors, `${path}.runtimeClassName`, name, isDNS1123Subdomain(name));
  }
  if (spec.preemptionPolicy !== undefined) {
    requireOneOf(spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'], `${path}.preemptionPolicy`, errors);
  }
  if (spec.overhead) {
    validateResourceRequirements({ limits: spec.overhead }, undefined, `${path}.overhead`, errors);
  }
  if (spec.os) requireOneOf(spec.os.name, ['linux', 'windows'], `${path}.os.name`, errors);
}

function validateName(
  name: string | undefined,
  rule: (name: string) => string[],
  path: string,
  errors: FieldError[],
): void {
  if (name) pushInvalid(errors, path, name, rule(name));
}

function validateResourceClaims(spec: PodSpec, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, claim] of (spec.resourceClaims ?? []).entries()) {
    const at = `${path}[${i}]`;
    if (!claim.name) errors.push(required(`${at}.name`));
    else if (seen.has(claim.name)) errors.push(duplicate(`${at}.name`, claim.name));
    else pushInvalid(errors, `${at}.name`, claim.name, isDNS1123Label(claim.name));
    seen.add(claim.name);
    if (claim.resourceClaimName && claim.resourceClaimTemplateName) {
      errors.push(
        invalid(at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'),
      );
    } else if (!claim.resourceClaimName && !claim.resourceClaimTemplateName) {
      errors.push(invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    }
  }
}

function validateHostNetworkPorts(spec: PodSpec, path: string, errors: FieldError[]): void {
  if (!spec.hostNetwork) return;
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [j, port] of (container.ports ?? []).entries()) {
      if ((port.hostPort ?? 0) === port.containerPort) continue;
      errors.push(
        invalid(
          `${path}[${i}].ports[${j}].hostPort`,
          port.hostPort ?? 0,
          'must match `containerPort` when `hostNetwork` is true',
        ),
      );
    }
  }
}

/** Limits of the C library's resolver. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

function validateDNSConfig(spec: PodSpec, path: string, errors: FieldError[]): void {
  const config: PodDNSConfig | undefined = spec.dnsConfig;
  if (spec.dnsPolicy === 'None') {
    if (!config) {
      errors.push(required(path, 'must provide `dnsConfig` when `dnsPolicy` is None'));
      return;
    }
    if (!config.nameservers?.length) {
      errors.push(required(`${path}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'));
      return;
    }
  }
  const { nameservers = [], searches = [], options = [] } = config ?? {};
  if (nameservers.length > MAX_NAMESERVERS) {
    const words = `must not have more than ${MAX_NAMESERVERS} nameservers`;
    errors.push(invalid(`${path}.nameservers`, nameservers, words));
  }
  for (const [i, server] of nameservers.entries()) validateIP(server, `${path}.nameservers[${i}]`, errors);
  if (searches.length > MAX_SEARCHES) {
    errors.push(invalid(`${path}.searches`, searches, `must not have more than ${MAX_SEARCHES} search paths`));
  }
  if (searches.join(' ').length > MAX_SEARCH_CHARACTERS) {
    const words = `must not have more than ${MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list`;
    errors.push(invalid(`${path}.searches`, searches, words));
  }
  for (const [i, search] of searches.entries()) {
    if (search === '.') continue;
    const name = search.replace(/\.$/, '');
    pushInvalid(errors, `${path}.searches[${i}]`, name, isDNS1123SubdomainWithUnderscore(name));
  }
  for (const [i, option] of options.entries()) {
    if (!option.name) errors.push(required(`${path}.options[${i}]`, 'must not be empty'));
  }
}

function validateSchedulingGates(spec: PodSpec, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, { name }] of (spec.schedulingGates ?? []).entries()) {
    pushInvalid(errors, `${path}[${i}]`, name, isQualifiedName(name));
    if (seen.has(name)) errors.push(duplicate(`${path}[${i}]`, name));
    seen.add(name);
  }
}
