import type {
  Affinity,
  LabelSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from '../generated/types.ts';
import { isDNS1123Label, isDNS1123Subdomain, isLabelValue, isQualifiedName } from '../name-rules.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from './field-error.ts';
import { pushInvalid, validateLabels } from './object-meta.ts';

/** Where a pod may run: judged, though on a single node nothing follows from it. */

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(tolerations: readonly Toleration[], path: string, errors: FieldError[]): void {
  for (const [i, toleration] of tolerations.entries()) {
    const at = `${path}[${i}]`;
    const { key = '', operator = '', value = '', effect = '' } = toleration;
    if (key !== '') pushInvalid(errors, `${at}.key`, key, isQualifiedName(key));
    if (key === '' && operator !== 'Exists') {
      errors.push(
        invalid(
          `${at}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (toleration.tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(invalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    switch (operator as string) {
      case 'Equal':
      case '': {
        const messages = isLabelValue(value);
        if (messages.length > 0) errors.push(invalid(`${at}.operator`, value, messages.join(';')));
        break;
      }
      case 'Exists':
        if (value !== '') {
          errors.push(invalid(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'"));
        }
        break;
      default:
        errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    }
    if (effect !== '') validateTaintEffect(effect, `${at}.effect`, errors);
  }
}

export function validateTaintEffect(effect: string, path: string, errors: FieldError[]): void {
  if (!EFFECTS.includes(effect)) errors.push(notSupported(path, effect, EFFECTS));
}

export function validateAffinity(affinity: Affinity | undefined, path: string, errors: FieldError[]): void {
  if (!affinity) return;
  const node = affinity.nodeAffinity;
  const needed = node?.requiredDuringSchedulingIgnoredDuringExecution;
  if (needed) {
    const at = `${path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
    const terms = needed.nodeSelectorTerms ?? [];
    if (terms.length === 0) errors.push(required(at, 'must have at least one node selector term'));
    for (const [i, term] of terms.entries()) validateNodeTerm(term, true, `${at}[${i}]`, errors);
  }
  const preferred = node?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const [i, { weight, preference }] of preferred.entries()) {
    const at = `${path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
    validateWeight(weight, at, errors);
    validateNodeTerm(preference ?? {}, false, `${at}.preference`, errors);
  }
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const pod = affinity[kind];
    for (const [i, term] of (pod?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      validatePodTerm(term, `${path}.${kind}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, errors);
    }
    for (const [i, weighted] of (pod?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${path}.${kind}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      validateWeight(weighted.weight, at, errors);
      validatePodTerm(weighted.podAffinityTerm, `${at}.podAffinityTerm`, errors);
    }
  }
}

function validateWeight(weight: number, path: string, errors: FieldError[]): void {
  if (weight <= 0 || weight > 100) errors.push(invalid(`${path}.weight`, weight, 'must be in the range 1-100'));
}

function validateNodeTerm(term: NodeSelectorTerm, checkValues: boolean, path: string, errors: FieldError[]): void {
  for (const [i, requirement] of (term.matchExpressions ?? []).entries()) {
    validateNodeRequirement(requirement, checkValues, `${path}.matchExpressions[${i}]`, errors);
  }
  for (const [i, { key, operator, values = [] }] of (term.matchFields ?? []).entries()) {
    const at = `${path}.matchFields[${i}]`;
    if (operator !== 'In' && operator !== 'NotIn') {
      errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    } else if (values.length !== 1) {
      errors.push(
        required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
      );
    }
    if (key !== 'metadata.name') errors.push(invalid(`${at}.key`, key, 'not a valid field selector key'));
    else {
      for (const [j, value] of values.entries()) {
        pushInvalid(errors, `${at}.values[${j}]`, value, isDNS1123Subdomain(value));
      }
    }
  }
}

function validateNodeRequirement(
  { key, operator, values = [] }: NodeSelectorRequirement,
  checkValues: boolean,
  path: string,
  errors: FieldError[],
): void {
  switch (operator as string) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) {
        errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) {
        errors.push(forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      }
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1) {
        errors.push(required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      }
      break;
    default:
      errors.push(invalid(`${path}.operator`, operator, 'not a valid selector operator'));
  }
  pushInvalid(errors, `${path}.key`, key, isQualifiedName(key));
  if (!checkValues) return;
  for (const [i, value] of values.entries()) pushInvalid(errors, `${path}.values[${i}]`, value, isLabelValue(value));
}

function validatePodTerm(term: PodAffinityTerm, path: string, errors: FieldError[]): void {
  validateLabelSelector(term.labelSelector, `${path}.labelSelector`, errors);
  validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`, errors);
  for (const name of term.namespaces ?? []) pushInvalid(errors, `${path}.namespace`, name, isDNS1123Label(name));
  if (!term.topologyKey) errors.push(required(`${path}.topologyKey`, 'can not be empty'));
  pushInvalid(errors, `${path}.topologyKey`, term.topologyKey, isQualifiedName(term.topologyKey ?? ''));
}

export function validateLabelSelector(selector: LabelSelector | undefined, path: string, errors: FieldError[]): void {
  if (!selector) return;
  if (selector.matchLabels) validateLabels(selector.matchLabels, `${path}.matchLabels`, errors);
  for (const [i, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`;
    switch (operator as string) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) {
          errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) {
          errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        break;
      default:
        errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    pushInvalid(errors, `${at}.key`, key, isQualifiedName(key));
    for (const [j, value] of values.entries()) pushInvalid(errors, `${at}.values[${j}]`, value, isLabelValue(value));
  }
}

const WHEN_UNSATISFIABLE = ['DoNotSchedule', 'ScheduleAnyway'];

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[],
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [i, constraint] of constraints.entries()) {
    const at = `${path}[${i}]`;
    if (constraint.maxSkew <= 0) errors.push(invalid(`${at}.maxSkew`, constraint.maxSkew, 'must be greater than zero'));
    if (!constraint.topologyKey) errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    else pushInvalid(errors, `${at}.topologyKey`, constraint.topologyKey, isQualifiedName(constraint.topologyKey));
    if (!WHEN_UNSATISFIABLE.includes(constraint.whenUnsatisfiable)) {
      errors.push(notSupported(`${at}.whenUnsatisfiable`, constraint.whenUnsatisfiable, WHEN_UNSATISFIABLE));
    }
    const id = `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`;
    if (seen.has(id)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, id));
    seen.add(id);
    if (constraint.minDomains !== undefined && constraint.minDomains <= 0) {
      errors.push(invalid(`${at}.minDomains`, constraint.minDomains, 'must be greater than zero'));
    }
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const) {
      const policy = constraint[field];
      if (policy !== undefined && policy !== 'Honor' && policy !== 'Ignore') {
        errors.push(notSupported(`${at}.${field}`, policy, ['Ignore', 'Honor']));
      }
    }
    validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`, errors);
  }
}
