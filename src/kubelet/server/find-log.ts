import type { ContainerStatus, Pod } from '../../api/generated/types.ts';
import type { PodLookup } from '../ports.ts';
import { HttpError } from './http-error.ts';

export interface FoundLog {
  readonly path: string;
  /** The instance that writes it; undefined when it is gone, so that the log is complete. */
  readonly containerId: string | undefined;
  /** Whose log it is, as the pod's status names it: `containerd://ID`. */
  readonly shownId: string;
}

/**
 * The log of a container: of its newest instance that ever ran, or of the one before. Throws HttpError in the kubelet's words
 * (kubernetes: validateContainerLogStatus in pkg/kubelet/kubelet_pods.go).
 */
export function findLog(lookup: PodLookup, pod: Pod, name: string, previous: boolean): FoundLog {
  const podName = pod.metadata.name!;
  const podUID = pod.metadata.uid!;
  const spec = pod.spec;
  const known = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  if (!known.some((c) => c.name === name)) {
    throw new HttpError(404, `container "${name}" not found in pod "${podName}"`);
  }
  const instanceLog = (old: boolean): FoundLog | undefined => {
    const instance = lookup.container(podUID, name, old);
    if (instance && instance.startedAt > 0 && instance.logPath) {
      return { path: instance.logPath, containerId: instance.id, shownId: `containerd://${instance.id}` };
    }
    const path = lookup.logPath(podUID, name, old);
    if (path === undefined) return undefined;
    const status = containerStatus(pod, name);
    const shownId = (old ? status?.lastState?.terminated?.containerID : status?.containerID) ?? '';
    return { path, containerId: undefined, shownId };
  };
  if (previous) {
    // While a container waits to be restarted, the one that ended last is already the previous one.
    const found = instanceLog(!newestIsPrevious(lookup, pod, name));
    if (found) return found;
    throw new HttpError(400, `previous terminated container "${name}" in pod "${podName}" not found`);
  }
  const found = instanceLog(false) ?? instanceLog(true);
  if (found) return found;
  throw new HttpError(400, `container "${name}" in pod "${podName}" is ${whyNoLog(pod, name)}`);
}

function newestIsPrevious(lookup: PodLookup, pod: Pod, name: string): boolean {
  const newest = lookup.container(pod.metadata.uid!, name, false);
  const last = containerStatus(pod, name)?.lastState?.terminated?.containerID;
  return newest !== undefined && last?.endsWith(`//${newest.id}`) === true;
}

function whyNoLog(pod: Pod, name: string): string {
  const status = containerStatus(pod, name);
  if (!status) return 'not available';
  if (status.state?.terminated) return 'terminated';
  const reason = status.state?.waiting?.reason;
  if (reason === 'ErrImagePull') return "waiting to start: image can't be pulled";
  if (reason === 'ImagePullBackOff') return 'waiting to start: trying and failing to pull image';
  return reason ? `waiting to start: ${reason}` : 'waiting to start - no logs yet';
}

function containerStatus(pod: Pod, name: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find((s) => s.name === name);
}
