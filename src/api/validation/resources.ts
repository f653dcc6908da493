import type { PodSpec, ResourceRequirements } from '../generated/types.ts';
import { isQualifiedName } from '../name-rules.ts';
import { ownValue } from '../own-value.ts';
import { aggregateContainerResources } from '../pod-resources.ts';
import { compareQuantities, formatQuantity, parseQuantity } from '../quantity.ts';
import { duplicate, type FieldError, forbidden, invalid, notFound, required } from './field-error.ts';
import { NOT_NEGATIVE } from './object-meta.ts';

const CONTAINER_RESOURCES: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** Names without a prefix that mean something somewhere, also outside containers. */
const STANDARD_RESOURCES: ReadonlySet<string> = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'storage',
  'requests.storage',
  'services.nodeports',
  'services.loadbalancers',
]);
const MILLION = 1_000_000n;

const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
/** Only these may be asked for in another amount than they are limited to. */
const mayOvercommit = (name: string): boolean =>
  (!name.includes('/') || name.split('/')[0]!.endsWith('kubernetes.io')) && !isHugePages(name);

/**
 * A container's (or the pod's own) resources.
 * @param claims names of the pod's resource claims; undefined where claims are judged elsewhere
 */
export function validateResourceRequirements(
  resources: ResourceRequirements,
  claims: ReadonlySet<string> | undefined,
  path: string,
  errors: FieldError[],
  validateName: typeof validateContainerResourceName = validateContainerResourceName,
): void {
  const limits = resources.limits ?? {};
  const requests = resources.requests ?? {};
  let computes = false;
  let hugePages = false;
  for (const [which, list] of [
    ['limits', limits],
    ['requests', requests],
  ] as const) {
    for (const [name, value] of Object.entries(list)) {
      const text = String(value);
      const at = `${path}.${which}[${name}]`;
      validateName(name, at, errors);
      validateAmount(name, text, at, errors);
      computes ||= name === 'cpu' || name === 'memory';
      hugePages ||= isHugePages(name);
      if (which === 'limits') continue;
      const limit = ownValue(limits, name);
      if (limit === undefined) {
        if (!mayOvercommit(name)) {
          errors.push(required(`${path}.limits`, 'Limit must be set for non overcommitable resources'));
        }
      } else if (limit !== value) {
        const order = compareQuantities(text, String(limit));
        if (order !== 0 && !mayOvercommit(name)) {
          errors.push(invalid(`${path}.requests`, text, `must be equal to ${name} limit of ${limit}`));
        } else if (order > 0) {
          errors.push(invalid(`${path}.requests`, text, `must be less than or equal to ${name} limit of ${limit}`));
        }
      }
    }
  }
  if (hugePages && !computes) errors.push(forbidden(path, 'HugePages require cpu or memory'));
  if (claims) validateClaims(resources, claims, path, errors);
}

function validateClaims(
  resources: ResourceRequirements,
  claims: ReadonlySet<string>,
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [i, claim] of (resources.claims ?? []).entries()) {
    const at = `${path}.claims[${i}]`;
    if (!claim.name) {
      errors.push(required(`${at}.name`));
      continue;
    }
    const id = `${claim.name}/${claim.request ?? ''}`;
    if (seen.has(id)) errors.push(duplicate(at, claim.request ? id : claim.name));
    seen.add(id);
    if (!claims.has(claim.name)) errors.push(notFound(`${at}.name`, claim.name));
  }
}

function validateContainerResourceName(name: string, path: string, errors: FieldError[]): void {
  if (!validateResourceName(name, path, errors)) return;
  if (!name.includes('/')) {
    if (!CONTAINER_RESOURCES.has(name) && !isHugePages(name)) {
      errors.push(invalid(path, name, 'must be a standard resource for containers'));
    }
  } else if (!/^(?:[^/]*\.)?kubernetes\.io\//.test(name)) {
    if (name.startsWith('requests.') || isQualifiedName(`requests.${name}`).length > 0) {
      errors.push(invalid(path, name, "doesn't follow extended resource name standard"));
    }
  }
}

function validatePodResourceName(name: string, path: string, errors: FieldError[]): void {
  if (name !== 'cpu' && name !== 'memory' && !isHugePages(name)) {
    errors.push({
      type: 'NotSupported',
      field: path,
      value: name,
      detail: 'supported values: "cpu", "hugepages-", "memory"',
    });
  }
}

function validateResourceName(name: string, path: string, errors: FieldError[]): boolean {
  const messages = isQualifiedName(name);
  for (const message of messages) errors.push(invalid(path, name, message));
  if (messages.length > 0) return false;
  if (!name.includes('/') && !STANDARD_RESOURCES.has(name) && !isHugePages(name)) {
    errors.push(invalid(path, name, 'must be a standard resource type or fully qualified'));
  }
  return true;
}

function validateAmount(name: string, text: string, path: string, errors: FieldError[]): void {
  const { nanos } = parseQuantity(text);
  if (nanos < 0n) errors.push(invalid(path, text, NOT_NEGATIVE));
  // Things that are counted, not measured.
  if (name.includes('/') && !name.startsWith('kubernetes.io/') && (nanos / MILLION) % 1000n !== 0n) {
    errors.push(invalid(path, text, 'must be an integer'));
  }
}

/** `spec.resources`: what the pod as a whole asks for must cover its containers. */
export function validatePodResources(spec: PodSpec, path: string, errors: FieldError[]): void {
  const { resources } = spec;
  if (!resources) return;
  if (resources.claims) errors.push(forbidden(`${path}.claims`, 'claims cannot be set for Resources at pod-level'));
  validateResourceRequirements(resources, undefined, path, errors, validatePodResourceName);
  for (const [name, sum] of Object.entries(aggregateContainerResources(spec, 'requests'))) {
    const own = String(ownValue(resources.requests, name) ?? '0');
    if (parseQuantity(own).nanos < sum.nanos) {
      errors.push(
        invalid(
          `${path}.requests[${name}]`,
          own,
          `must be greater than or equal to aggregate container requests of ${formatQuantity(sum)}`,
        ),
      );
    }
  }
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const own = ownValue(resources.limits, name);
      if (own !== undefined && compareQuantities(String(limit), String(own)) > 0) {
        errors.push(
          invalid(
            `${path}.containers[${i}][${name}].limits`,
            limit,
            `must be less than or equal to pod limits of ${own}`,
          ),
        );
      }
    }
  }
}
