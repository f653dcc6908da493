import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvFromSource,
  EnvVar,
  Event,
  Pod,
  Probe,
  Toleration,
  Volume,
} from '../../api/generated/types.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { parseTime } from '../../api/time.ts';
import { eventTime } from './explain-container.ts';
import type { Explanation } from './explanation.ts';
import { plainText, type Style } from './style.ts';

/** The explanation as it stands above everything else. */
export function renderExplanation(explanation: Explanation, style: Style): string[] {
  const paint = {
    ready: style.good,
    succeeded: style.good,
    waiting: style.warn,
    failing: style.bad,
    terminating: style.warn,
    failed: style.bad,
  };
  const lines = [style.bold(paint[explanation.verdict](explanation.headline))];
  const several = explanation.causes.length > 1 || explanation.verdict === 'ready';
  for (const cause of explanation.causes) {
    if (several) lines.push(`  ${cause.text}`);
    const indent = several ? '    ' : '  ';
    lines.push(...cause.evidence.map((e) => `${indent}- ${e}`));
    if (cause.advice) lines.push(`${indent}> ${style.bold(cause.advice)}`);
  }
  return lines;
}

/** A pod as `kubectl describe` lays it out, so that an eye used to that finds its way. Pure. @param now ms since the epoch */
export function describePod(pod: Pod, events: readonly Event[], now: number): string[] {
  const { metadata, spec, status } = pod;
  const out: string[] = [];
  const field = (name: string, value: string): void => void out.push(`${`${name}:`.padEnd(18)}${value}`.trimEnd());
  const map = (name: string, entries: Record<string, string> | undefined): void => {
    const lines = Object.entries(entries ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    if (lines.length === 0) field(name, '<none>');
    lines.forEach(([k, v], i) => {
      out.push(`${(i === 0 ? `${name}:` : '').padEnd(18)}${k}${name === 'Labels' ? '=' : ': '}${plainText(v)}`);
    });
  };
  field('Name', metadata.name ?? '');
  field('Namespace', metadata.namespace ?? '');
  field('Priority', String(spec?.priority ?? 0));
  field('Service Account', spec?.serviceAccountName ?? 'default');
  field('Node', spec?.nodeName ? `${spec.nodeName}/${status?.hostIP ?? ''}` : '<none>');
  if (status?.startTime) field('Start Time', longTime(status.startTime));
  map('Labels', metadata.labels);
  map('Annotations', metadata.annotations);
  if (metadata.deletionTimestamp) {
    const left = (parseTime(metadata.deletionTimestamp) ?? now) - now;
    field(
      'Status',
      `Terminating (${left > 0 ? `lasts at most ${humanDuration(left)}` : `overdue by ${humanDuration(-left)}`})`,
    );
    field('Grace Period', `${metadata.deletionGracePeriodSeconds ?? 0}s`);
  } else {
    field('Status', status?.phase ?? 'Unknown');
  }
  if (status?.reason) field('Reason', status.reason);
  if (status?.message) field('Message', plainText(status.message));
  field('IP', status?.podIP ?? '');
  if (status?.podIPs?.length) out.push('IPs:', ...status.podIPs.map(({ ip }) => `  IP:  ${ip}`));
  if (spec?.initContainers?.length) {
    out.push(
      'Init Containers:',
      ...spec.initContainers.flatMap((c) => describeContainer(c, status?.initContainerStatuses)),
    );
  }
  out.push('Containers:', ...(spec?.containers ?? []).flatMap((c) => describeContainer(c, status?.containerStatuses)));

  out.push('Conditions:');
  const conditions = (status?.conditions ?? []).map((c) => [c.type, c.status]);
  out.push(...columns([['Type', 'Status'], ...conditions], 3, '  '));
  out.push(spec?.volumes?.length ? 'Volumes:' : 'Volumes:  <none>', ...(spec?.volumes ?? []).flatMap(describeVolume));
  const tail = (name: string, values: string[]): void => {
    (values.length ? values : ['<none>']).forEach((v, i) => {
      out.push(`${(i === 0 ? `${name}:` : '').padEnd(29)}${v}`);
    });
  };
  tail('QoS Class', [status?.qosClass ?? 'BestEffort']);
  tail(
    'Node-Selectors',
    Object.entries(spec?.nodeSelector ?? {}).map(([k, v]) => `${k}=${v}`),
  );
  tail('Tolerations', (spec?.tolerations ?? []).map(tolerationWords));
  out.push(...describeEvents(events, now));
  return out;
}

function describeContainer(container: Container, statuses: readonly ContainerStatus[] | undefined): string[] {
  const status = statuses?.find((s) => s.name === container.name);
  const out = [`  ${container.name}:`];
  let width = 15;
  const field = (name: string, value: string): void =>
    void out.push(`    ${`${name}:`.padEnd(width)}${value}`.trimEnd());
  const block = (name: string, values: readonly string[] | undefined): void => {
    if (values?.length) out.push(`    ${name}:`, ...values.flatMap((v) => v.split('\n')).map((v) => `      ${v}`));
  };
  field('Container ID', status?.containerID ?? '');
  field('Image', container.image ?? '');
  field('Image ID', status?.imageID ?? '');
  const ports = container.ports ?? [];
  const named = (p: { name?: string }): string => (p.name ? ` (${p.name})` : '');
  const plural = ports.length > 1 ? 's' : '';
  field(
    `Port${plural}`,
    ports.map((p) => `${p.containerPort}/${p.protocol ?? 'TCP'}${named(p)}`).join(', ') || '<none>',
  );
  field(
    `Host Port${plural}`,
    ports.map((p) => `${p.hostPort ?? 0}/${p.protocol ?? 'TCP'}${named(p)}`).join(', ') || '<none>',
  );
  block('Command', container.command);
  block('Args', container.args);
  width = 16;
  if (status?.state) out.push(...describeState('State', status.state));
  if (status?.lastState && Object.keys(status.lastState).length > 0)
    out.push(...describeState('Last State', status.lastState));
  field('Ready', status?.ready ? 'True' : 'False');
  field('Restart Count', String(status?.restartCount ?? 0));
  block('Limits', pairs(container.resources?.limits));
  block('Requests', pairs(container.resources?.requests));
  for (const [name, probe] of [
    ['Liveness', container.livenessProbe],
    ['Readiness', container.readinessProbe],
    ['Startup', container.startupProbe],
  ] as const) {
    if (probe) field(name, describeProbe(probe));
  }
  block('Environment Variables from', container.envFrom?.map(envFromWords));
  if (container.env?.length)
    out.push(
      '    Environment:',
      ...columns(
        container.env.map((e) => [`${e.name}:`, envWords(e)]),
        2,
        '      ',
      ),
    );
  else field('Environment', '<none>');
  const mounts = [...(container.volumeMounts ?? [])].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  if (mounts.length === 0) field('Mounts', '<none>');
  block(
    'Mounts',
    mounts.map(
      (m) => `${m.mountPath} from ${m.name} (${m.readOnly ? 'ro' : 'rw'}${m.subPath ? `,path="${m.subPath}"` : ''})`,
    ),
  );
  return out;
}

function describeState(label: string, state: ContainerState): string[] {
  const line = (name: string, value: string, indent = 6): string =>
    `${' '.repeat(indent)}${`${name}:`.padEnd(20 - indent)}${value}`.trimEnd();
  const { running, waiting, terminated } = state;
  if (running) return [line(label, 'Running', 4), line('Started', longTime(running.startedAt), 6)];
  if (terminated) {
    return [
      line(label, 'Terminated', 4),
      ...(terminated.reason ? [line('Reason', terminated.reason)] : []),
      ...(terminated.message ? [line('Message', plainText(terminated.message))] : []),
      line('Exit Code', String(terminated.exitCode)),
      ...(terminated.startedAt ? [line('Started', longTime(terminated.startedAt))] : []),
      ...(terminated.finishedAt ? [line('Finished', longTime(terminated.finishedAt))] : []),
    ];
  }
  return [line(label, 'Waiting', 4), ...(waiting?.reason ? [line('Reason', waiting.reason)] : [])];
}

/** kubectl's one line for a probe: `http-get http://:80/no delay=0s timeout=1s period=2s #success=1 #failure=2`. */
export function describeProbe(probe: Probe): string {
  const numbers =
    `delay=${probe.initialDelaySeconds ?? 0}s timeout=${probe.timeoutSeconds ?? 1}s period=${probe.periodSeconds ?? 10}s ` +
    `#success=${probe.successThreshold ?? 1} #failure=${probe.failureThreshold ?? 3}`;
  if (probe.exec) return `exec [${(probe.exec.command ?? []).join(' ')}] ${numbers}`;
  if (probe.tcpSocket) return `tcp-socket ${probe.tcpSocket.host ?? ''}:${probe.tcpSocket.port} ${numbers}`;
  if (probe.grpc) return `grpc <pod>:${probe.grpc.port} ${probe.grpc.service ?? ''} ${numbers}`;
  if (!probe.httpGet) return `unknown ${numbers}`;
  const { scheme, host, port, path } = probe.httpGet;
  return `http-get ${(scheme ?? 'HTTP').toLowerCase()}://${host ?? ''}:${port}${path ?? '/'} ${numbers}`;
}

function describeVolume(volume: Volume): string[] {
  const { name, ...source } = volume;
  const [type, details] = Object.entries(source)[0] ?? ['emptyDir', {}];
  const words: Record<string, string> = {
    emptyDir: "EmptyDir (a temporary directory that shares a pod's lifetime)",
    hostPath: 'HostPath (bare host directory volume)',
    configMap: 'ConfigMap (a volume populated by a ConfigMap)',
    secret: 'Secret (a volume populated by a Secret)',
    projected: 'Projected (a volume that contains injected data from multiple sources)',
    downwardAPI: 'DownwardAPI (a volume populated by information about the pod)',
  };
  const scalars = Object.entries(details as Record<string, unknown>).filter(([, v]) => typeof v !== 'object');
  const rows = [
    ['Type:', words[type] ?? type],
    ...scalars.map(([k, v]) => [`${k[0]!.toUpperCase()}${k.slice(1)}:`, String(v)]),
  ];
  return [`  ${name}:`, ...columns(rows, 2, '    ')];
}

function describeEvents(events: readonly Event[], now: number): string[] {
  if (events.length === 0) return ['Events:  <none>'];
  const sorted = [...events].sort((a, b) => (eventTime(a) ?? 0) - (eventTime(b) ?? 0));
  const rows = sorted.map((e) => {
    const last = eventTime(e);
    const first = parseTime(e.firstTimestamp);
    const n = e.series?.count ?? e.count ?? 1;
    const age = last === undefined ? '<unknown>' : humanDuration(now - last);
    const times = n > 1 && first !== undefined ? ` (x${n} over ${humanDuration(now - first)})` : '';
    return [
      e.type ?? '',
      e.reason ?? '',
      age + times,
      e.source?.component ?? e.reportingComponent ?? '',
      plainText(e.message ?? ''),
    ];
  });
  const head = ['Type', 'Reason', 'Age', 'From', 'Message'];
  const all = columns([head, head.map((h) => '-'.repeat(h === 'Age' ? 4 : h.length)), ...rows], 2, '  ');
  return ['Events:', ...all];
}

/** Columns as wide as their widest cell and `gap` spaces; the last is not padded. */
function columns(rows: readonly (readonly string[])[], gap: number, indent: string): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length + gap);
    });
  }
  return rows.map((row) =>
    `${indent}${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('')}`.trimEnd(),
  );
}

function pairs(entries: Record<string, unknown> | undefined): string[] {
  return columns(
    Object.entries(entries ?? {}).map(([k, v]) => [`${k}:`, String(v)]),
    2,
    '',
  );
}

function envFromWords(source: EnvFromSource): string {
  const [kind, ref] = source.configMapRef ? ['ConfigMap', source.configMapRef] : ['Secret', source.secretRef];
  return `${ref?.name ?? ''}  ${kind}${source.prefix ? ` with prefix '${source.prefix}'` : ''}  Optional: ${ref?.optional ?? false}`;
}

function envWords(env: EnvVar): string {
  const from = env.valueFrom;
  if (!from) return plainText(env.value ?? '');
  const key = from.configMapKeyRef ?? from.secretKeyRef;
  if (key) {
    const kind = from.secretKeyRef ? 'secret' : 'config map';
    return `<set to the key '${key.key}' of ${kind} '${key.name ?? ''}'>  Optional: ${key.optional ?? false}`;
  }
  if (from.fieldRef) return ` (${from.fieldRef.apiVersion ?? 'v1'}:${from.fieldRef.fieldPath})`;
  return from.resourceFieldRef ? ` (${from.resourceFieldRef.resource})` : '';
}

function tolerationWords(t: Toleration): string {
  const key = `${t.key ?? ''}${t.value ? `=${t.value}` : ''}${t.effect ? `:${t.effect}` : ''}`;
  const op = (t.operator ?? 'Equal') === 'Exists' ? ' op=Exists' : '';
  return `${key}${op}${t.tolerationSeconds === undefined ? '' : ` for ${t.tolerationSeconds}s`}`.trim();
}

/** As kubectl writes points in time, but always in UTC: `Mon, 23 Nov 2026 02:26:57 +0000`. */
function longTime(text: string | undefined): string {
  const ms = parseTime(text);
  return ms === undefined ? '' : new Date(ms).toUTCString().replace('GMT', '+0000');
}
