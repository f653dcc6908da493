import type { Container, ContainerPort, NodeSelectorTerm, Pod, PodSpec, Volume } from './generated/types.ts';
import { isDNS1123Label, isLabelValue } from './name-rules.ts';
import { ownValue } from './own-value.ts';
import { quantityMillis } from './quantity.ts';

/**
 * What is allowed in a new pod and hardly meant, in upstream's order and words. The pod is defaulted and valid.
 * Source: pkg/registry/core/pod/strategy.go (WarningsOnCreate), pkg/api/pod/warnings.go; without what kubelette refuses anyway.
 */
export function podWarnings({ metadata, spec }: Pod): string[] {
  const warnings: string[] = [];
  const problems = isDNS1123Label(metadata.name ?? '');
  if (problems.length > 0) {
    const why =
      "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended";
    warnings.push(`metadata.name: ${why}: [${problems.join(' ')}]`);
  }
  warnOfNodeLabels(spec, warnings);
  for (const [key, why] of Object.entries(OLD_ANNOTATIONS)) {
    if (metadata.annotations && Object.hasOwn(metadata.annotations, key)) {
      warnings.push(`metadata.annotations[${key}]: ${why}`);
    }
  }
  for (const volume of spec.volumes ?? []) warnOfOverlaps(volume, warnings);
  warnOfRepeated(spec.hostAliases, 'ip', 'spec.hostAliases', warnings);
  warnOfRepeated(spec.imagePullSecrets, 'name', 'spec.imagePullSecrets', warnings);
  for (const [i, { name = '' }] of (spec.imagePullSecrets ?? []).entries()) {
    if (name === '') warnings.push(`spec.imagePullSecrets[${i}].name: invalid empty name ""`);
  }
  const containers = containersOf(spec);
  for (const [path, container] of containers) {
    warnOfFractions(container, path, warnings);
    warnOfHiddenVariables(container, path, warnings);
  }
  warnOfPorts(containers, warnings);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    const why = 'must be >= 0; negative values are invalid and will be treated as 1';
    warnings.push(`spec.terminationGracePeriodSeconds: ${why}`);
  }
  warnOfNullSelectors(spec, warnings);
  return warnings;
}

function containersOf(spec: PodSpec): [path: string, container: Container][] {
  return (['initContainers', 'containers'] as const).flatMap((field) =>
    (spec[field] ?? []).map((container, i): [string, Container] => [`spec.${field}[${i}]`, container]),
  );
}

/** Source: pkg/api/node/util.go */
const OLD_NODE_LABELS: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  'app.kubernetes.io/created-by': 'deprecated since v1.9',
  'scheduler.alpha.kubernetes.io/preferAvoidPods': 'deprecated since v1.22; use Taints and Tolerations instead',
  'node-role.kubernetes.io/master': 'use "node-role.kubernetes.io/control-plane" instead',
};

const OLD_ANNOTATIONS: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod': 'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

function warnOfNodeLabels(spec: PodSpec, warnings: string[]): void {
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    const why = ownValue(OLD_NODE_LABELS, key);
    if (why) warnings.push(`spec.nodeSelector[${key}]: ${why}`);
  }
  const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution } =
    spec.affinity?.nodeAffinity ?? {};
  const path = 'spec.affinity.nodeAffinity';
  for (const [i, term] of (required?.nodeSelectorTerms ?? []).entries()) {
    const at = `${path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${i}]`;
    warnOfTerm(term, false, at, warnings);
  }
  for (const [i, { preference }] of (preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    warnOfTerm(preference, true, `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}].preference`, warnings);
  }
  for (const [i, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `spec.topologySpreadConstraints[${i}]`;
    const why = ownValue(OLD_NODE_LABELS, topologyKey);
    if (why) warnings.push(`${at}.topologyKey: ${topologyKey} is ${why}`);
    if (!labelSelector) warnings.push(`${at}.labelSelector: ${MATCHES_NOTHING}`);
  }
}

function warnOfTerm(term: NodeSelectorTerm, checkValues: boolean, path: string, warnings: string[]): void {
  for (const [i, { key, values = [] }] of (term.matchExpressions ?? []).entries()) {
    const why = ownValue(OLD_NODE_LABELS, key);
    if (why) warnings.push(`${path}.matchExpressions[${i}].key: ${key} is ${why}`);
    if (!checkValues) continue;
    for (const [j, value] of values.entries()) {
      for (const problem of isLabelValue(value)) {
        warnings.push(`${path}.matchExpressions[${i}].values[${j}]: ${value} is invalid, ${problem}`);
      }
    }
  }
}

const MATCHES_NOTHING = 'a null labelSelector results in matching no pod';

function warnOfNullSelectors({ affinity }: PodSpec, warnings: string[]): void {
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const path = `spec.affinity.${kind}`;
    for (const [i, term] of (affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${path}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`;
      if (!term.labelSelector) warnings.push(`${at}.labelSelector: ${MATCHES_NOTHING}`);
    }
    for (const [i, term] of (affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      if (!term.podAffinityTerm.labelSelector) {
        warnings.push(`${at}.podAffinityTerm.labelSelector: ${MATCHES_NOTHING}`);
      }
    }
  }
}

function warnOfRepeated<K extends 'ip' | 'name'>(
  items: readonly { readonly [key in K]?: string }[] = [],
  key: K,
  path: string,
  warnings: string[],
): void {
  const seen = new Set<string>();
  for (const [i, { [key]: value = '' }] of items.entries()) {
    if (seen.has(value)) warnings.push(`${path}[${i}].${key}: duplicate ${key} ${JSON.stringify(value)}`);
    seen.add(value);
  }
}

function warnOfFractions({ resources }: Container, path: string, warnings: string[]): void {
  for (const name of ['memory', 'ephemeral-storage']) {
    for (const list of ['limits', 'requests'] as const) {
      const value = ownValue(resources?.[list], name);
      if (value === undefined || quantityMillis(String(value)) % 1000 === 0) continue;
      const why = `fractional byte value ${JSON.stringify(value)} is invalid, must be an integer`;
      warnings.push(`${path}.resources.${list}[${name}]: ${why}`);
    }
  }
}

function warnOfHiddenVariables({ env = [] }: Container, path: string, warnings: string[]): void {
  const seen = new Set<string>();
  for (const [i, { name, value = '', valueFrom }] of env.entries()) {
    const reference = `$(${name})`;
    // Who adds to what the variable was before means both.
    const extendsIt = !valueFrom && value !== reference && value.includes(reference);
    if (seen.has(name) && !extendsIt) {
      const why = `hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`;
      warnings.push(`${path}.env[${i}]: ${why}`);
    }
    seen.add(name);
  }
}

interface PlacedPort {
  readonly at: string;
  readonly port: ContainerPort;
}

function warnOfPorts(containers: readonly (readonly [path: string, container: Container])[], warnings: string[]): void {
  const ports: PlacedPort[] = containers.flatMap(([path, container]) =>
    (container.ports ?? []).map((port, i) => ({ at: `${path}.ports[${i}]`, port })),
  );
  for (const [i, { at, port }] of ports.entries()) {
    if (port.hostIP && !port.hostPort) {
      const { name = '', containerPort, protocol, hostIP } = port;
      const shown = `{Name:${name} HostPort:0 ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`;
      warnings.push(`${at}: hostIP set without hostPort: ${shown}`);
    }
    for (const other of ports.slice(0, i)) {
      const how = clashOf(port, other.port);
      if (how) warnings.push(`${at}: ${how} port definition with ${other.at}`);
    }
  }
  const names = new Map<string, string>();
  for (const { at, port } of ports) {
    if (!port.name) continue;
    const other = names.get(port.name);
    if (other === undefined) names.set(port.name, at);
    else {
      const which = `services and probes that select ports by name will use ${other}`;
      warnings.push(`${at}: duplicate port name ${JSON.stringify(port.name)} with ${other}, ${which}`);
    }
  }
}

function clashOf(a: ContainerPort, b: ContainerPort): string | undefined {
  if (a.containerPort !== b.containerPort || a.protocol !== b.protocol) return undefined;
  const sameAddress = (a.hostIP ?? '') === (b.hostIP ?? '');
  const samePort = (a.hostPort ?? 0) === (b.hostPort ?? 0);
  if (sameAddress && samePort) return 'duplicate';
  if (!a.hostPort || !b.hostPort) return 'overlapping';
  return samePort && (!a.hostIP || !b.hostIP) ? 'dangerously ambiguous' : undefined;
}

/** A file of a volume, and where a projected volume has it from. */
interface VirtualPath {
  readonly path: string;
  readonly source: string;
}

const shownPath = ({ path, source }: VirtualPath): string =>
  source === '' ? JSON.stringify(path) : `${JSON.stringify(path)} (${source})`;

function warnOfOverlaps(volume: Volume, warnings: string[]): void {
  const { name, configMap, secret, downwardAPI, projected } = volume;
  const check = (paths: readonly VirtualPath[], description: string): void => {
    for (const [i, path] of paths.entries()) {
      for (const other of paths.slice(0, i)) {
        if (!overlap(path.path, other.path)) continue;
        const which = `${shownPath(path)} with ${shownPath(other)}`;
        warnings.push(`volume ${JSON.stringify(name)} (${description}): overlapping paths: ${which}`);
      }
    }
  };
  check(pathsOf(configMap?.items, ''), `ConfigMap ${JSON.stringify(configMap?.name ?? '')}`);
  check(pathsOf(secret?.items, ''), `Secret ${JSON.stringify(secret?.secretName ?? '')}`);
  check(pathsOf(downwardAPI?.items, ''), 'DownwardAPI');
  const files: VirtualPath[] = [];
  for (const source of projected?.sources ?? []) {
    if (Object.keys(source).length === 0) {
      warnings.push(`volume ${JSON.stringify(name)} (Projected) has no sources provided`);
    }
    files.push(
      ...pathsOf(source.configMap?.items, `ConfigMap ${JSON.stringify(source.configMap?.name ?? '')}`),
      ...pathsOf(source.secret?.items, `Secret ${JSON.stringify(source.secret?.name ?? '')}`),
      ...pathsOf(source.downwardAPI?.items, 'DownwardAPI'),
    );
  }
  check(files, 'Projected');
}

function pathsOf(items: readonly { readonly path: string }[] = [], source: string): VirtualPath[] {
  return items.map(({ path }) => ({ path: path.replace(/\/+$/, ''), source }));
}

/** Whether one is the other, or a folder in which the other is. */
function overlap(a: string, b: string): boolean {
  return a !== '' && b !== '' && (`${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`));
}
