import { parseYamlDocuments, type YamlDocument, YamlError } from '../../api/yaml-text.ts';
import type { ProbeType } from '../../kubelet/ports.ts';
import { UserError } from '../../lib/errors.ts';
import type { HealthWindow, ImageScript } from '../scenario.ts';
import { answerOf } from './assumed-values.ts';
import { Fields } from './fields.ts';
import { assertHasProbe, type PodTargets, type Target } from './pod-targets.ts';
import { imageOf, requestedName, type WhatIf } from './what-if.ts';
import { addFailure, DOWN_MS } from './what-if-flags.ts';

/**
 * Adds what a scenario file says; `examples/simulate.md` describes its fields.
 * @param file its name, for messages
 * @throws UserError with file, line, column, field, value and reason
 */
export function addScenarioFile(whatIf: WhatIf, targets: PodTargets, text: string, file: string): void {
  for (const document of documentsOf(text, file)) {
    if (document.value === undefined) continue;
    const root = new Fields(document.value, '', file, document);
    root.only('for', 'containers', 'images', 'events');
    whatIf.forMs = root.duration('for') ?? whatIf.forMs;
    for (const [name, fields] of root.children('containers')) {
      addContainer(whatIf, targets.container(name, fields.complain()), fields);
    }
    for (const [image, fields] of root.children('images')) addImage(whatIf, targets, image, fields);
    for (const fields of root.items('events')) addEvent(whatIf, targets, fields);
  }
}

function documentsOf(text: string, file: string): YamlDocument[] {
  try {
    return parseYamlDocuments(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    const { line, column } = error.position;
    throw new UserError(`${file}:${line}:${column}: ${error.message}`, { cause: error });
  }
}

function addContainer(whatIf: WhatIf, target: Target, fields: Fields): void {
  fields.only(
    ...['startsAfter', 'runsFor', 'exitCode', 'fails', 'stopsIn', 'stopExitCode', 'ignoresSigterm', 'answersIn'],
    ...['liveness', 'readiness', 'startup'],
  );
  const known = whatIf.of(target);
  const set = <K extends Exclude<keyof typeof known, 'health'>>(key: K, value: (typeof known)[K]): void => {
    if (value !== undefined) known[key] = value;
  };
  set('startsAfterMs', fields.duration('startsAfter'));
  set('runsForMs', fields.duration('runsFor'));
  set('exitCode', fields.exitCode('exitCode'));
  set('fails', fields.count('fails'));
  set('stopsInMs', fields.duration('stopsIn'));
  set('stopExitCode', fields.exitCode('stopExitCode'));
  set('ignoresSigterm', fields.flag('ignoresSigterm'));
  set('answersInMs', fields.duration('answersIn'));
  for (const probe of ['liveness', 'readiness', 'startup'] as const) {
    for (const window of fields.items(probe)) {
      assertHasProbe(target, probe, window.complain());
      known.health.push(windowOf(probe, window));
    }
  }
}

function windowOf(probe: ProbeType, fields: Fields): HealthWindow {
  fields.only('from', 'to', 'answer');
  const fromMs = fields.duration('from') ?? 0;
  const toMs = fields.duration('to');
  if (toMs !== undefined && toMs <= fromMs) throw fields.complain('to')('it is not after from');
  const answer = answerOf(fields.text('answer') ?? 'failure', fields.complain('answer'));
  return { probe, fromMs, ...(toMs === undefined ? {} : { toMs }), answer };
}

function addImage(whatIf: WhatIf, targets: PodTargets, image: string, fields: Fields): void {
  const images = [...new Set(targets.containers.map(imageOf))];
  if (!images.includes(requestedName(image))) {
    throw fields.complain()(`no container has the image ${JSON.stringify(image)}`, `images here: ${images.join(', ')}`);
  }
  fields.only('present', 'pull', 'failures');
  const pullMs = fields.duration('pull');
  const failures = fields.count('failures');
  const script: ImageScript = {
    present: fields.flag('present') ?? false,
    ...(pullMs === undefined ? {} : { pullMs }),
    ...(failures === undefined ? {} : { failures }),
  };
  whatIf.images[requestedName(image)] = script;
}

function addEvent(whatIf: WhatIf, targets: PodTargets, fields: Fields): void {
  const atMs = fields.duration('at');
  if (atMs === undefined) throw fields.complain()('it does not say when', 'at: 30s');
  const what = ['killAgent', 'killRuntime', 'fail', 'exit', 'delete'].filter((key) => fields.has(key));
  if (what.length !== 1) {
    throw fields.complain()('expected one of killAgent, killRuntime, fail, exit, delete', 'at: 30s, killAgent: 1s');
  }
  switch (what[0]) {
    case 'killAgent':
    case 'killRuntime':
      fields.only('at', what[0]);
      whatIf.actions.push({ atMs, do: what[0], downMs: fields.duration(what[0]) ?? DOWN_MS });
      return;
    case 'fail': {
      fields.only('at', 'fail', 'to', 'answer');
      const text = [
        `${fields.text('fail')}@${fields.text('at')}`,
        fields.has('to') ? `-${fields.text('to')}` : '',
        fields.has('answer') ? `=${fields.text('answer')}` : '',
      ].join('');
      addFailure(whatIf, targets, text, fields.complain('fail'));
      return;
    }
    case 'exit': {
      fields.only('at', 'exit', 'exitCode');
      const { pod, container } = targets.container(fields.text('exit') ?? '', fields.complain('exit'));
      const exitCode = fields.exitCode('exitCode') ?? 1;
      whatIf.actions.push({ atMs, do: 'exit', pod: pod.metadata.name!, container: container.name, exitCode });
      return;
    }
    case 'delete': {
      fields.only('at', 'delete', 'grace');
      const { name, namespace = 'default' } = targets.pod(
        fields.text('delete') ?? '',
        fields.complain('delete'),
      ).metadata;
      const grace = fields.duration('grace');
      const seconds = grace === undefined ? {} : { graceSeconds: Math.round(grace / 1000) };
      whatIf.actions.push({ atMs, do: 'delete', pod: name!, namespace, ...seconds });
    }
  }
}
