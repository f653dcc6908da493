import type { Pod, PodSpec, ServiceAccount, Toleration } from '../../api/generated/types.ts';
import { PODS } from '../../api/resources.ts';
import { forbidden } from './api-errors.ts';

/** How long a pod stays on a node that is not ready or not reachable, unless it says otherwise. */
const TOLERATION_SECONDS = 300;

/** The classes that exist in every cluster. */
const PRIORITY_CLASSES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

/** Of every class that exists. */
const PREEMPTION = 'PreemptLowerPriority';

/**
 * What upstream's admission plugins fill into a new pod: ServiceAccount (without the token volume), DefaultTolerationSeconds, Priority,
 * RuntimeClass.
 * Changes `pod`.
 * @param findServiceAccount by name, in the pod's namespace
 * @throws ApiStatusError 403
 */
export function admitPod(pod: Pod, findServiceAccount: (name: string) => ServiceAccount | undefined): void {
  const { spec } = pod;
  const { name = '', namespace } = pod.metadata;
  spec.serviceAccountName ||= 'default';
  spec.serviceAccount = spec.serviceAccountName;
  const account = findServiceAccount(spec.serviceAccountName);
  if (!account) {
    const wanted = spec.serviceAccountName;
    const why = `error looking up service account ${namespace}/${wanted}: serviceaccount ${JSON.stringify(wanted)} not found`;
    throw forbidden(PODS, name, why);
  }
  if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
    spec.imagePullSecrets = account.imagePullSecrets;
  addTolerations(spec);
  admitPriority(spec, name);
  // There are no RuntimeClasses here that could define one.
  if (spec.overhead !== undefined) {
    const why = 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead';
    throw forbidden(PODS, name, why);
  }
}

/** The same plugins on an update: who replaces a pod by his manifest did not write what they had filled in. Changes `pod`. */
export function admitPodUpdate({ spec }: Pod, { spec: old }: Pod): void {
  addTolerations(spec);
  if (old.priority !== undefined) spec.priority ??= old.priority;
  if (old.preemptionPolicy !== undefined) spec.preemptionPolicy ??= old.preemptionPolicy;
}

function addTolerations(spec: PodSpec): void {
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const covers = (t: Toleration): boolean => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect);
    if (spec.tolerations?.some(covers)) continue;
    const added: Toleration = { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_SECONDS };
    spec.tolerations = [...(spec.tolerations ?? []), added];
  }
}

function admitPriority(spec: PodSpec, name: string): void {
  const className = spec.priorityClassName;
  const priority = className ? PRIORITY_CLASSES[className] : 0;
  if (priority === undefined) throw forbidden(PODS, name, `no PriorityClass with name ${className} was found`);
  if (spec.priority !== undefined && spec.priority !== priority) {
    const why = `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${priority} from the given PriorityClass name`;
    throw forbidden(PODS, name, why);
  }
  spec.priority = priority;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== PREEMPTION) {
    const why = `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${PREEMPTION} from the given PriorityClass name`;
    throw forbidden(PODS, name, why);
  }
  spec.preemptionPolicy = PREEMPTION;
}
