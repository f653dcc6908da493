import { type Command, Option } from 'commander';
import type { Status } from '../../api/generated/types.ts';
import type { KubeObject, Resource } from '../../api/resources.ts';
import type { CliContext, ServerOptions } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

interface GetOptions {
  output?: 'wide' | 'yaml' | 'json' | 'name';
  allNamespaces?: boolean;
  watch?: boolean;
  selector?: string;
  fieldSelector?: string;
  headers: boolean;
}

export function registerGet(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('get')
      .summary('list objects, or show one')
      .description('List objects of a type, or show those named, as the API server lays them out.')
      .argument('<type>', 'pods, nodes, events, namespaces, configmaps, secrets, ... or TYPE/NAME')
      .argument('[name...]', 'only these')
      .addOption(new Option('-o, --output <format>', 'output format').choices(['wide', 'yaml', 'json', 'name']))
      .option('-A, --all-namespaces', 'of all namespaces')
      .option('-w, --watch', 'go on and print each change')
      .option('-l, --selector <labels>', 'only objects with these labels: app=web,tier!=db')
      .option('--field-selector <fields>', 'only objects with these fields: status.phase=Running')
      .option('--no-headers', 'leave the header line out'),
  )
    .addHelpText('after', '\nExamples:\n  kubelette get pods -w\n  kubelette get pod init-demo -o yaml\n')
    .action(async (type: string, names: string[], options: GetOptions, command: Command) => {
      const { parseTargets } = await import('../resource-names.ts');
      const { UserError } = await import('../../lib/errors.ts');
      const targets = parseTargets([type, ...names]);
      if (options.watch && targets.length > 1) {
        throw new UserError('only one name can be watched', { hint: 'watch all and select with -l' });
      }
      if (targets[0]!.name !== undefined && (options.selector ?? options.fieldSelector) !== undefined) {
        throw new UserError('a name and a selector do not go together');
      }
      if (options.allNamespaces && targets.some(({ resource, name }) => resource.namespaced && name !== undefined)) {
        throw new UserError('a resource cannot be retrieved by name across all namespaces');
      }
      const server = serverOptions(command, context);
      if (options.output === undefined || options.output === 'wide')
        await printTables(context, server, targets, options);
      else await printObjects(context, server, targets, options);
    });
}

type Target = { resource: Resource; name?: string | undefined };

interface Table {
  kind: 'Table';
  metadata?: { resourceVersion?: string };
  columnDefinitions?: { name: string; format?: string; priority?: number }[] | null;
  rows?: { cells: unknown[]; object?: { metadata?: KubeObject['metadata'] } }[] | null;
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

async function printTables(
  context: CliContext,
  server: ServerOptions,
  targets: Target[],
  options: GetOptions,
): Promise<void> {
  const { linesOf, requestJson } = await import('../response-body.ts');
  const { TableLayout } = await import('../view/table.ts');
  const { typeNameOf } = await import('../resource-names.ts');
  const { pathOf } = await import('../../api/resources.ts');
  const { ApiStatusError } = await import('../../api/status-error.ts');
  let columns: NonNullable<Table['columnDefinitions']> = [];
  let layout = new TableLayout();
  // With several types, a name alone does not say what it names.
  const several = new Set(targets.map((t) => t.resource)).size > 1;
  const prefixOf = (resource: Resource): string => (several ? `${typeNameOf(resource)}/` : '');

  const print = (table: Table, resource: Resource, header: boolean): void => {
    if (table.columnDefinitions?.length) columns = table.columnDefinitions;
    const shown = columns.flatMap((c, i) => ((c.priority ?? 0) === 0 || options.output === 'wide' ? [i] : []));
    const withNamespace = options.allNamespaces === true && resource.namespaced;
    const rows = (table.rows ?? []).map((row) => [
      ...(withNamespace ? [row.object?.metadata?.namespace ?? ''] : []),
      ...shown.map((i) => (columns[i]!.format === 'name' ? prefixOf(resource) : '') + String(row.cells[i] ?? '')),
    ]);
    const head = [...(withNamespace ? ['NAMESPACE'] : []), ...shown.map((i) => columns[i]!.name.toUpperCase())];
    for (const line of layout.render(header && options.headers ? [head, ...rows] : rows))
      context.stdout.write(`${line}\n`);
  };

  let previous: Resource | undefined;
  for (const { resource, name } of targets) {
    const changed = resource !== previous;
    if (changed && previous) context.stdout.write('\n');
    if (changed) layout = new TableLayout();
    previous = resource;
    const namespace = options.allNamespaces ? undefined : server.namespace;
    const query = selection(options, name, options.watch === true);
    const object = name !== undefined && !options.watch;
    const path = pathOf(resource, namespace, object ? name : undefined);
    const url = (extra: Record<string, string>): string => {
      const text = new URLSearchParams({ ...(object ? {} : query), ...extra }).toString();
      return text === '' ? path : `${path}?${text}`;
    };
    const table = await requestJson<Table>(context, server, { path: url({}), headers: { Accept: TABLE } });
    if (table.rows?.length) print(table, resource, changed);
    else if (!options.watch) context.stderr.write(`${nothingFound(resource, namespace)}\n`);
    if (!options.watch) continue;

    let printed = (table.rows?.length ?? 0) > 0;
    let resourceVersion = table.metadata?.resourceVersion ?? '';
    const stop = new AbortController();
    const unlisten = context.onSignal('SIGINT', () => stop.abort());
    try {
      // A server ends every watch after a while; the next one begins where the last ended.
      while (!stop.signal.aborted) {
        const response = await context.request(server, {
          path: url({ watch: 'true', resourceVersion }),
          headers: { Accept: TABLE },
          signal: stop.signal,
        });
        for await (const line of linesOf(response.body)) {
          const event = JSON.parse(line) as { type: string; object: Table };
          if (event.type === 'ERROR') throw ApiStatusError.fromStatus(event.object as Status);
          const rows = event.object.rows ?? [];
          resourceVersion =
            rows.at(-1)?.object?.metadata?.resourceVersion ?? event.object.metadata?.resourceVersion ?? resourceVersion;
          if (event.type === 'BOOKMARK') continue;
          print(event.object, resource, !printed);
          printed = true;
        }
        await context.clock.sleep(200, stop.signal);
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      unlisten();
    }
  }
}

async function printObjects(
  context: CliContext,
  server: ServerOptions,
  targets: Target[],
  options: GetOptions,
): Promise<void> {
  const client = await context.client(server);
  const { typeNameOf } = await import('../resource-names.ts');
  const { apiVersionOf } = await import('../../api/resources.ts');
  const namespace = options.allNamespaces ? undefined : server.namespace;
  const format = await formatter(options.output);

  const objects: { resource: Resource; object: KubeObject }[] = [];
  let resourceVersion: string | undefined;
  for (const { resource, name } of targets) {
    const scope = resource.namespaced ? namespace : undefined;
    if (name !== undefined && !options.watch) {
      objects.push({ resource, object: await client.get(resource, { name, namespace: scope }) });
    } else {
      const list = await client.list(resource, {
        namespace: scope,
        ...selection(options, name, options.watch === true),
      });
      objects.push(...list.items.map((object) => ({ resource, object })));
      resourceVersion = list.metadata.resourceVersion;
    }
  }
  // Lists leave apiVersion and kind out of their items.
  const full = objects.map(({ resource, object }) =>
    tidy({ apiVersion: apiVersionOf(resource), kind: resource.kind, ...object }),
  );
  const single = targets.length === 1 && targets[0]!.name !== undefined;
  if (options.output === 'name') {
    for (const { resource, object } of objects)
      context.stdout.write(`${typeNameOf(resource)}/${object.metadata.name}\n`);
  } else if (single || options.watch) {
    for (const object of full) context.stdout.write(format(object));
  } else {
    context.stdout.write(format({ apiVersion: 'v1', items: full, kind: 'List', metadata: { resourceVersion: '' } }));
  }
  if (!options.watch) return;

  const { resource, name } = targets[0]!;
  const { ApiStatusError } = await import('../../api/status-error.ts');
  const stop = new AbortController();
  const unlisten = context.onSignal('SIGINT', () => stop.abort());
  try {
    const events = client.watch(resource, {
      namespace: resource.namespaced ? namespace : undefined,
      ...selection(options, name, true),
      resourceVersion,
      signal: stop.signal,
    });
    for await (const event of events) {
      if (event.type === 'ERROR') throw ApiStatusError.fromStatus(event.object as Status);
      if (event.type === 'BOOKMARK') continue;
      if (options.output === 'name') context.stdout.write(`${typeNameOf(resource)}/${event.object.metadata.name}\n`);
      else {
        context.stdout.write(
          format(tidy({ apiVersion: apiVersionOf(resource), kind: resource.kind, ...(event.object as KubeObject) })),
        );
      }
    }
  } finally {
    unlisten();
  }
}

/** The server's own bookkeeping of who wrote what is long and rarely what anybody looks for; kubectl leaves it out too. */
function tidy(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

async function formatter(output: GetOptions['output']): Promise<(value: unknown) => string> {
  if (output === 'json') return (value) => `${JSON.stringify(value, null, 4)}\n`;
  const { stringify } = await import('yaml');
  let first = true;
  return (value) => {
    const text = stringify(value, { version: '1.1', sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false });
    const separator = first ? '' : '---\n';
    first = false;
    return separator + text;
  };
}

function selection(options: GetOptions, name: string | undefined, byName: boolean): Record<string, string> {
  const fields = [options.fieldSelector, byName && name !== undefined ? `metadata.name=${name}` : undefined].filter(
    Boolean,
  );
  return {
    ...(options.selector === undefined ? {} : { labelSelector: options.selector }),
    ...(fields.length === 0 ? {} : { fieldSelector: fields.join(',') }),
  };
}

function nothingFound(resource: Resource, namespace: string | undefined): string {
  return resource.namespaced && namespace !== undefined
    ? `No resources found in ${namespace} namespace.`
    : 'No resources found';
}
