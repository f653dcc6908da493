import type { Container, Pod, PodSpec, Toleration } from '../generated/types.ts';
import { type FieldError, forbidden, invalid, required } from './field-error.ts';
import { unifiedDiff } from './line-diff.ts';
import { validatePodMetadataAndSpec } from './pod.ts';
import { podSpecText } from './pod-spec-text.ts';
import { validateTolerations } from './scheduling.ts';

/** Which changes of a pod are allowed: ValidatePodUpdate upstream. */

const UPDATABLE = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

const MAX_INT32 = 2 ** 31 - 1;

export function validatePodChange(pod: Pod, old: Pod, errors: FieldError[]): void {
  validatePodMetadataAndSpec(pod, errors);
  for (const field of ['containers', 'initContainers'] as const) {
    const before = old.spec[field] ?? [];
    const after = pod.spec[field] ?? [];
    if (before.length !== after.length) {
      errors.push(forbidden(`spec.${field}`, 'pod updates may not add or remove containers'));
      return;
    }
    validateImages(after, `spec.${field}`, errors);
  }
  if (!validateDeadline(pod.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds, errors)) return;
  validateAddedTolerations(pod.spec.tolerations ?? [], old.spec.tolerations ?? [], errors);
  validateRemovedGates(pod.spec, old.spec, errors);
  const before = podSpecText(old.spec);
  const after = podSpecText(withAllowedChanges(pod.spec, old.spec));
  const difference = unifiedDiff(before, after);
  if (difference === '') return;
  errors.push(forbidden('spec', `pod updates may not change fields other than ${UPDATABLE}\n${difference}`));
}

function validateImages(containers: readonly Container[], path: string, errors: FieldError[]): void {
  for (const [i, { image = '' }] of containers.entries()) {
    if (image === '') errors.push(required(`${path}[${i}].image`));
    if (image.trim() !== image) {
      errors.push(invalid(`${path}[${i}].image`, image, 'must not have leading or trailing whitespace'));
    }
  }
}

/** A deadline may be set and shortened. Returns whether looking further makes sense. */
function validateDeadline(seconds: number | undefined, old: number | undefined, errors: FieldError[]): boolean {
  const path = 'spec.activeDeadlineSeconds';
  if (seconds === undefined) {
    if (old !== undefined) errors.push(invalid(path, null, 'must not update from a positive integer to nil value'));
    return true;
  }
  if (seconds < 0 || seconds > MAX_INT32) {
    errors.push(invalid(path, seconds, `must be between 0 and ${MAX_INT32}, inclusive`));
    return false;
  }
  if (old !== undefined && old < seconds) {
    errors.push(invalid(path, seconds, 'must be less than or equal to previous value'));
    return false;
  }
  return true;
}

function validateAddedTolerations(
  tolerations: readonly Toleration[],
  old: readonly Toleration[],
  errors: FieldError[],
): void {
  for (const before of old) {
    const kept = tolerations.some((after) => sameToleration(before, after));
    if (!kept) {
      errors.push(
        forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'),
      );
      return;
    }
  }
  validateTolerations(tolerations, 'spec.tolerations', errors);
}

/** How long a taint is tolerated may change. */
function sameToleration(a: Toleration, b: Toleration): boolean {
  return (['key', 'operator', 'value', 'effect'] as const).every((field) => (a[field] ?? '') === (b[field] ?? ''));
}

function validateRemovedGates(spec: PodSpec, old: PodSpec, errors: FieldError[]): void {
  const before = new Set((old.schedulingGates ?? []).map((gate) => gate.name));
  for (const [i, { name }] of (spec.schedulingGates ?? []).entries()) {
    if (before.has(name)) continue;
    errors.push(
      forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${name}'`),
    );
  }
}

/** The new spec with everything that may change put back to what it was. */
function withAllowedChanges(spec: PodSpec, old: PodSpec): PodSpec {
  const images = (containers: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    containers?.map((container, i) => ({ ...container, image: before?.[i]?.image }) as Container);
  const munged: PodSpec = {
    ...spec,
    containers: images(spec.containers, old.containers) ?? [],
    initContainers: images(spec.initContainers, old.initContainers) as Container[],
    activeDeadlineSeconds: old.activeDeadlineSeconds as number,
    tolerations: old.tolerations as Toleration[],
    schedulingGates: old.schedulingGates as NonNullable<PodSpec['schedulingGates']>,
  };
  const grace = old.terminationGracePeriodSeconds ?? 0;
  if (grace < 0 && spec.terminationGracePeriodSeconds === 1) munged.terminationGracePeriodSeconds = grace;
  return munged;
}
