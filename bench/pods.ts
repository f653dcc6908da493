/** The pods that are measured, the same for everybody who takes Kubernetes' manifests. */
import type { Container, Pod } from '../src/api/generated/types.ts';

export const IMAGE = 'busybox:1.36';
export const NGINX_IMAGE = 'nginx:latest';

/** A command that ends at once when told to, so that one measurement does not run into the next. */
const onTerm = (work: string): string[] => ['sh', '-c', `trap 'exit 0' TERM; ${work}`];
const SLEEP = 'while :; do sleep 600 & wait $!; done';

export const IDLE = onTerm(SLEEP);
export const SERVE = onTerm('httpd -f -p 80 -h /etc & wait $!');
/** What `SERVE` answers with 200. */
export const SERVED_PATH = '/passwd';
/** Ends by itself, half a second after its start. */
export const ENDING = onTerm('sleep 0.5');
/** Does so the first time it is run with an empty directory. */
export const endsOnce = (directory: string): string[] =>
  onTerm(`test -f ${directory}/x && ${SLEEP}; touch ${directory}/x; sleep 0.5`);

const app = (more: Partial<Container> = {}): Container => ({ name: 'app', image: IMAGE, command: IDLE, ...more });

let serial = 0;

function pod(spec: Pod['spec']): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `bench-${serial++}`, namespace: 'default' },
    spec: { terminationGracePeriodSeconds: 5, ...spec },
  };
}

/** @param inits how many init containers, each `true` @param apps how many containers that do nothing */
export function idlePod(inits = 0, apps = 1): Pod {
  const initContainers = Array.from({ length: inits }, (_, i) => ({
    name: `init-${i}`,
    image: IMAGE,
    command: ['true'],
  }));
  const containers = Array.from({ length: apps }, (_, i) => app({ name: `app-${i}` }));
  return pod({ ...(inits > 0 && { initContainers }), containers });
}

/** A web server with a readiness probe each second. */
export function servingPod(): Pod {
  const readinessProbe = { httpGet: { path: SERVED_PATH, port: 80 }, periodSeconds: 1 };
  return pod({ containers: [app({ command: SERVE, readinessProbe })] });
}

/** A pod whose container ends once by itself. */
export function restartingPod(): Pod {
  const volumeMounts = [{ name: 'v', mountPath: '/v' }];
  return pod({
    containers: [app({ command: endsOnce('/v'), volumeMounts })],
    volumes: [{ name: 'v', emptyDir: {} }],
  });
}

/** A pod whose liveness probe, each second, asks `path` of a server on this host; the first failure kills. */
export function watchedPod(port: number, path: string): Pod {
  const livenessProbe = { httpGet: { host: '127.0.0.1', path, port }, periodSeconds: 1, failureThreshold: 1 };
  return pod({ containers: [app({ livenessProbe })] });
}

/** As many containers, each with a readiness and a liveness probe a second against the one nginx of the pod. */
export function probedPod(containers: number): Pod {
  const probe = { httpGet: { path: '/', port: 80 }, periodSeconds: 1 };
  const probes = { readinessProbe: probe, livenessProbe: { ...probe, failureThreshold: 60 } };
  const config =
    'daemon off; pid /n.pid; error_log /dev/null; events {} http { access_log off; server { listen 80; location / { return 200; } } }';
  const nginx: Container = {
    ...{ name: 'nginx', image: NGINX_IMAGE, imagePullPolicy: 'IfNotPresent', ...probes },
    command: ['sh', '-c', `echo '${config}' > /n.conf; exec nginx -c /n.conf`],
  };
  const others = Array.from({ length: containers - 1 }, (_, i) => app({ name: `app-${i}`, ...probes }));
  return pod({ containers: [nginx, ...others] });
}

export const isRunning = (of: Pod): boolean => of.status?.containerStatuses?.every((c) => c.state?.running) ?? false;

export const isReady = (of: Pod): boolean =>
  of.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
