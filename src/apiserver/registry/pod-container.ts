import type { Pod } from '../../api/generated/types.ts';
import { badRequest } from './api-errors.ts';

/**
 * The container that a request for logs, exec or attach means: the one that is named, or the only one.
 * @throws ApiStatusError 400. Source: pkg/registry/core/pod/strategy.go
 */
export function chooseContainer(pod: Pod, asked: string | null): string {
  const names = (list: readonly { readonly name: string }[] | undefined): string[] => (list ?? []).map((c) => c.name);
  const [apps, inits, ephemeral] = [
    names(pod.spec.containers),
    names(pod.spec.initContainers),
    names(pod.spec.ephemeralContainers),
  ];
  const name = pod.metadata.name ?? '';
  if (asked) {
    if (![...apps, ...inits, ...ephemeral].includes(asked)) {
      throw badRequest(`container ${asked} is not valid for pod ${name}`);
    }
    return asked;
  }
  if (apps.length === 1) return apps[0]!;
  let choices = `choose one of: [${apps.join(' ')}]`;
  if (inits.length > 0) choices += ` or one of the init containers: [${inits.join(' ')}]`;
  if (ephemeral.length > 0) choices += ` or one of the ephemeral containers: [${ephemeral.join(' ')}]`;
  throw badRequest(`a container name must be specified for pod ${name}, ${choices}`);
}
