import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { ManifestObject } from '../../api/manifest.ts';
import { PODS } from '../../api/resources.ts';
import type { ApiStatusError } from '../../api/status-error.ts';
import { messageOf, UserError } from '../../lib/errors.ts';
import { computeForecast } from '../../simulator/forecast/compute-forecast.ts';
import type { Forecast } from '../../simulator/forecast/forecast.ts';
import { PodTargets } from '../../simulator/forecast/pod-targets.ts';
import { addScenarioFile } from '../../simulator/forecast/scenario-file.ts';
import { WhatIf } from '../../simulator/forecast/what-if.ts';
import { addFlags, type WhatIfFlags } from '../../simulator/forecast/what-if-flags.ts';
import type { CliContext } from '../context.ts';
import { locateError, locateWarning, nameOf, readManifestFiles } from '../manifest.ts';
import { readInput } from '../read-input.ts';
import { styleOf } from '../view/style.ts';
import { drawForecast } from './draw-forecast.ts';
import { renderForecast } from './render-forecast.ts';

export interface RunSimulateOptions extends WhatIfFlags {
  readonly namespace: string;
  /** Files; what flags say comes after them. */
  readonly scenario?: readonly string[];
  readonly output: 'text' | 'json' | 'svg';
  /** A file for the picture. */
  readonly svg?: string;
}

/** Reads the files, runs the node on virtual time and shows what happens. @throws UserError */
export async function runSimulate(
  context: CliContext,
  words: readonly string[],
  options: RunSimulateOptions,
): Promise<void> {
  const { files, killAgent } = splitWords(words);
  const manifests = (await readManifestFiles(context, files, options.namespace)).map(withName);
  const targets = new PodTargets(podsOf(manifests, files));
  const whatIf = new WhatIf();
  for (const file of options.scenario ?? []) {
    addScenarioFile(whatIf, targets, await readInput(context, file), file === '-' ? 'standard input' : file);
  }
  addFlags(whatIf, targets, { ...options, killAgent: [...(options.killAgent ?? []), ...killAgent] });
  const forecast = await forecastOf(context, manifests, targets, whatIf);
  if (options.svg !== undefined) {
    await writeFile(resolve(context.cwd, options.svg), drawForecast(forecast)).catch((error: unknown) => {
      throw new UserError(`--svg ${options.svg}: ${messageOf(error)}`, { cause: error });
    });
  }
  context.stdout.write(textOf(context, forecast, options.output));
}

function textOf(context: CliContext, forecast: Forecast, output: RunSimulateOptions['output']): string {
  if (output === 'json') return `${JSON.stringify(forecast, null, 2)}\n`;
  if (output === 'svg') return drawForecast(forecast);
  const width = context.isTTY ? (context.stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
  return `${renderForecast(forecast, width, styleOf(context.color)).join('\n')}\n`;
}

const KILL_AGENT_AT = '--kill-agent@';

/** `--kill-agent@30s` is no option to the parser, so it comes as a word. */
function splitWords(words: readonly string[]): { files: string[]; killAgent: string[] } {
  const killAgent = words.filter((w) => w.startsWith(KILL_AGENT_AT)).map((w) => w.slice(KILL_AGENT_AT.length));
  const files = words.filter((w) => !w.startsWith(KILL_AGENT_AT));
  const unknown = files.find((w) => w.startsWith('-') && w !== '-');
  if (unknown !== undefined) throw new UserError(`unknown option ${unknown}`, { hint: 'kubelette simulate --help' });
  if (files.length === 0)
    throw new UserError('no file is given', { hint: 'kubelette simulate pod.yaml; - for standard input' });
  return { files, killAgent };
}

/** Whoever is to be named by a scenario needs a name. */
function withName(manifest: ManifestObject): ManifestObject {
  const { name, generateName } = manifest.object.metadata;
  if (name !== undefined || generateName === undefined) return manifest;
  const metadata = { ...manifest.object.metadata, name: `${generateName}1` };
  return { ...manifest, object: { ...manifest.object, metadata } };
}

function podsOf(manifests: readonly ManifestObject[], files: readonly string[]): Pod[] {
  const pods = manifests.filter((m) => m.resource === PODS);
  if (pods.length === 0) throw new UserError(`${files.join(', ')}: there is no Pod to simulate`);
  const seen = new Set<string>();
  for (const { object, locate } of pods) {
    const name = object.metadata.name ?? '';
    if (seen.has(name)) throw new UserError(`${locate('metadata.name')}: there is another pod ${JSON.stringify(name)}`);
    seen.add(name);
  }
  return pods.map((m) => m.object as Pod);
}

/** With the places in the file, and without advice that is about applying it. */
function refusedError(error: ApiStatusError, of: ManifestObject | undefined): unknown {
  const located = of ? locateError(error, of) : error;
  return located instanceof UserError ? new UserError(located.message, { cause: error }) : located;
}

async function forecastOf(
  context: CliContext,
  manifests: readonly ManifestObject[],
  targets: PodTargets,
  whatIf: WhatIf,
): Promise<Forecast> {
  const manifestOf = (object: unknown): ManifestObject | undefined => manifests.find((m) => m.object === object);
  const refusals: { readonly error: ApiStatusError; readonly of: ManifestObject | undefined }[] = [];
  const forecast = await computeForecast({
    objects: manifests.map((m) => m.object),
    targets,
    whatIf,
    creator: {
      refused: (object, error) => refusals.push({ error, of: manifestOf(object) }),
      warned: (object, text) => {
        const of = manifestOf(object);
        context.stderr.write(`Warning: ${of ? locateWarning(text, of) : text}\n`);
      },
    },
  });
  const [refusal] = refusals;
  if (refusal) throw refusedError(refusal.error, refusal.of);
  const podNamed = (name: string): ManifestObject | undefined => manifests.find((m) => nameOf(m) === `pod/${name}`);
  const warnings = forecast.warnings.map((w) => {
    const place = podNamed(w.pod)?.locate(w.field);
    return place === undefined ? w : { ...w, place };
  });
  return { ...forecast, warnings };
}
