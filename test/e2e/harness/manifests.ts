import type { Container, ObjectMeta, PodSpec } from '../../../src/api/generated/types.ts';

/** A Pod manifest (JSON, of which YAML is a superset). It ends quickly unless `spec` says otherwise. */
export function podManifest(name: string, spec: PodSpec, metadata: ObjectMeta = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  });
}

/** A busybox container that runs a shell script. */
export function sh(name: string, script: string, more: Partial<Container> = {}): Container {
  return { name, image: 'busybox:1.36', command: ['sh', '-c', script], ...more };
}

/** A script's end that ends at once on SIGTERM, which the first process of a container otherwise ignores. */
export const WAIT = 'trap "exit 0" TERM; sleep 3600 & wait';
