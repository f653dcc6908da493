import type { Pod } from '../api/generated/types.ts';
import { UserError } from '../lib/errors.ts';
import type { Output } from './context.ts';

/**
 * The container a command is about: the one asked for, else the one that the annotation names, else the first. When the choice
 * is ours and there were others, says so, as kubectl does.
 */
export function podContainer(pod: Pod, asked: string | undefined, notes: Output): string {
  const apps = (pod.spec?.containers ?? []).map((c) => c.name);
  const inits = (pod.spec?.initContainers ?? []).map((c) => c.name);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).map((c) => c.name);
  const all = [...apps, ...inits, ...ephemeral];
  if (asked !== undefined) {
    if (all.includes(asked)) return asked;
    throw new UserError(`container ${asked} is not in pod ${pod.metadata.name}`, { hint: `it has ${all.join(', ')}` });
  }
  const annotated = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (annotated !== undefined && all.includes(annotated)) return annotated;
  const first = apps[0];
  if (first === undefined) throw new UserError(`pod ${pod.metadata.name} has no containers`);
  if (all.length > 1) {
    const names = [...apps, ...inits.map((n) => `${n} (init)`), ...ephemeral.map((n) => `${n} (ephem)`)];
    notes.write(`Defaulted container "${first}" out of: ${names.join(', ')}\n`);
  }
  return first;
}
