import { expect, test } from 'vitest';
import { recordedAnswer } from '../../../test/recorded-answers.ts';
import { decodeType } from '../decode.ts';
import { SCHEMA } from '../generated/schema.ts';
import type { PodSpec } from '../generated/types.ts';
import { podSpecText } from './pod-spec-text.ts';

/** Moved into the security context inside, or a second name of another field. */
const ELSEWHERE = ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace', 'hostUsers', 'serviceAccount'];

/** A value for every field that this type has, as deep as it goes once. */
function full(typeName: string, seen: readonly string[] = []): unknown {
  const type = SCHEMA[typeName]!;
  if (typeName === 'api.resource.Quantity') return '3';
  if (!type.fields) return type.format === 'date-time' ? '2026-01-01T00:00:00Z' : 'text';
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(type.fields)) {
    const item = field.items ?? field.values ?? field;
    if (item.ref && seen.includes(item.ref)) continue;
    let member: unknown;
    if (item.ref) member = full(item.ref, [...seen, typeName]);
    else if (item.type === 'integer') member = 7;
    else if (item.type === 'boolean') member = true;
    else member = 'text';
    value[name] = field.items ? [member] : field.values ? { key: member } : member;
  }
  return value;
}

test('shows every field that a pod can have', () => {
  const spec = full('core.v1.PodSpec') as PodSpec;
  const text = podSpecText(spec).join('\n');
  const missing: string[] = [];
  for (const typeName of [
    'PodSpec',
    'Container',
    'Volume',
    'SecurityContext',
    'PodSecurityContext',
    'Probe',
    'VolumeMount',
    'EnvVarSource',
  ]) {
    for (const name of Object.keys(SCHEMA[`core.v1.${typeName}`]!.fields!)) {
      if (ELSEWHERE.includes(name)) continue;
      if (!text.toLowerCase().includes(`"${name.toLowerCase()}":`)) missing.push(`${typeName}.${name}`);
    }
  }
  expect(missing).toEqual([]);
  expect(JSON.parse(text)).toMatchObject({ SecurityContext: { HostNetwork: true, HostUsers: true } });
});

test('a change of any field changes the text', () => {
  const spec = full('core.v1.PodSpec') as unknown as Record<string, unknown>;
  const text = podSpecText(spec as unknown as PodSpec).join('\n');
  for (const name of Object.keys(spec)) {
    if (name === 'serviceAccount') continue;
    const { [name]: _, ...without } = spec;
    expect(podSpecText(without as unknown as PodSpec).join('\n'), name).not.toBe(text);
  }
});

test('is JSON, with zero values as Go has them', () => {
  const spec = decodeType('core.v1.PodSpec', recordedAnswer('pod create').answer.spec) as PodSpec;
  const value = JSON.parse(podSpecText(spec).join('\n'));
  expect(value.Containers[0]).toMatchObject({
    Name: 'c',
    Command: ['sleep', '600'],
    Args: null,
    WorkingDir: '',
    Resources: { Limits: null, Requests: null, Claims: null },
    Stdin: false,
    LivenessProbe: null,
  });
  expect(value.SecurityContext).toMatchObject({ HostNetwork: false, HostUsers: null, RunAsUser: null });
});
