import { decodeJson, decodeType } from '../../api/decode.ts';
import type { DeleteOptions, Status } from '../../api/generated/types.ts';
import { JsonSyntaxError, parseJson } from '../../api/json-text.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import {
  badRequest,
  methodNotAllowed,
  noSuchResource,
  PATCH_CONTENT_TYPES,
  unsupportedApply,
  unsupportedMediaType,
} from '../registry/api-errors.ts';
import { hasSubresource, type ResourceDefinition } from '../registry/resource-definition.ts';
import type { Body, ResourceRequests, Target, WriteRequest } from '../registry/resource-requests.ts';
import { findResource } from '../registry/resource-table.ts';
import type { Version } from '../storage/mvcc.ts';
import type { Exchange } from './exchange.ts';
import { mediaType, negotiate, type Representation } from './negotiate.ts';
import type { IncludeObject } from './render.ts';
import { listTable, listText, objectTable, objectText, partialMetadata, partialMetadataList } from './render.ts';
import { bodyAsJson, bodyValue } from './request-body.ts';
import type { ResourceRequestInfo } from './request-info.ts';
import { deleteOptions, readOptions, writeOptions } from './request-options.ts';
import { serveWatch } from './watch-handler.ts';

/** Answers requests for objects: reads, writes, watches. Streams to and from containers are not here. */
export class ResourceHandler {
  private readonly requests: ResourceRequests;
  private readonly clock: Clock;
  private readonly random: Random;

  constructor(requests: ResourceRequests, clock: Clock, random: Random) {
    this.requests = requests;
    this.clock = clock;
    this.random = random;
  }

  /** @throws ApiStatusError */
  async handle(exchange: Exchange, info: ResourceRequestInfo): Promise<void> {
    const definition = findResource(info);
    if (!definition) throw noSuchResource();
    const { namespace, name, subresource } = info;
    if (definition.resource.namespaced ? name && !namespace : namespace) throw noSuchResource();
    if (subresource !== undefined && !hasSubresource(definition, subresource)) throw noSuchResource();
    if (definition.deprecation) exchange.warn(definition.deprecation);
    const representation = negotiate(exchange.header('accept'), 'objects');
    if (name === undefined) return this.handleCollection(exchange, info, definition, representation);

    const target: Target = { definition, namespace, name, subresource };
    switch (exchange.method) {
      case 'GET':
      case 'HEAD': {
        const version = this.requests.get(target, exchange.query.get('resourceVersion') ?? undefined);
        return this.sendObject(exchange, 200, definition, version, representation);
      }
      case 'POST': {
        if (subresource === undefined) throw methodNotAllowed();
        const [body, request] = await this.writing(exchange, 'CreateOptions');
        this.requests.createSubresource(target, body, request);
        const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
        return exchange.send(201, status, representation);
      }
      case 'PUT': {
        const [body, request] = await this.writing(exchange, 'UpdateOptions');
        const { created, version } = this.requests.update(target, body, request);
        return this.sendObject(exchange, created ? 201 : 200, definition, version, representation);
      }
      case 'PATCH': {
        const version = await this.patch(exchange, target);
        return this.sendObject(exchange, 200, definition, version, representation);
      }
      case 'DELETE':
        return this.delete(exchange, target, representation);
      default:
        throw methodNotAllowed();
    }
  }

  private async handleCollection(
    exchange: Exchange,
    info: ResourceRequestInfo,
    definition: ResourceDefinition,
    representation: Representation,
  ): Promise<void> {
    const { verb, namespace } = info;
    if (!definition.verbs.includes(verb)) throw methodNotAllowed();
    switch (verb) {
      case 'list':
        return this.list(exchange, definition, namespace, representation);
      case 'watch':
        return serveWatch(exchange, definition, namespace, representation, includeObject(exchange), {
          requests: this.requests,
          clock: this.clock,
          random: this.random,
        });
      case 'create': {
        if (definition.resource.namespaced && !namespace) throw methodNotAllowed();
        const [body, request] = await this.writing(exchange, 'CreateOptions');
        const version = this.requests.create(definition, namespace, body, request);
        // What others make of it, a pod's start above all, comes before the answer.
        await this.clock.turn();
        return this.sendObject(exchange, 201, definition, version, representation);
      }
      case 'deletecollection': {
        if (definition.resource.namespaced && !namespace) throw methodNotAllowed();
        const options = deleteOptions(exchange.query, await deleteBody(exchange));
        const page = this.requests.deleteCollection(definition, readOptions(exchange.query, namespace), options);
        return exchange.send(200, listText(definition, page), representation);
      }
      default:
        throw methodNotAllowed();
    }
  }

  private list(
    exchange: Exchange,
    definition: ResourceDefinition,
    namespace: string | undefined,
    representation: Representation,
  ): Promise<void> {
    const page = this.requests.list(definition, readOptions(exchange.query, namespace));
    switch (representation.as) {
      case 'Table':
        return exchange.send(
          200,
          listTable(definition, page, includeObject(exchange), this.clock.now()),
          representation,
        );
      case 'PartialObjectMetadataList':
      case 'PartialObjectMetadata':
        return exchange.send(200, partialMetadataList(page), representation);
      default:
        return exchange.send(200, listText(definition, page), representation);
    }
  }

  private async patch(exchange: Exchange, target: Target): Promise<Version> {
    const contentType = mediaType(exchange.header('content-type'));
    const type = PATCH_CONTENT_TYPES[contentType as keyof typeof PATCH_CONTENT_TYPES];
    if (!type) throw contentType.startsWith('application/apply-patch') ? unsupportedApply() : unsupportedMediaType();
    const query = writeOptions(exchange.query, 'PatchOptions');
    const text = (await exchange.body()).toString('utf8');
    // A missing object is reported before a patch that cannot be read.
    this.requests.get({ ...target, subresource: undefined });
    let patch: unknown;
    try {
      patch = parseJson(text).value;
    } catch (error) {
      if (error instanceof JsonSyntaxError) throw badRequest(`error decoding patch: ${error.message}`);
      throw error;
    }
    return this.requests.patch(target, type, patch, { ...query, warn: exchange.warn });
  }

  private async delete(exchange: Exchange, target: Target, representation: Representation): Promise<void> {
    const options = deleteOptions(exchange.query, await deleteBody(exchange));
    const { definition, name } = target;
    const { version, gone } = this.requests.delete(target, options);
    if (!gone || definition.returnsDeleted) return this.sendObject(exchange, 200, definition, version, representation);
    const { group, plural } = definition.resource;
    const status: Status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name, ...(group ? { group } : {}), kind: plural, uid: version.object.metadata.uid },
    };
    return exchange.send(200, status, representation);
  }

  private async writing(
    exchange: Exchange,
    kind: 'CreateOptions' | 'UpdateOptions',
  ): Promise<[body: Body, request: WriteRequest]> {
    const query = writeOptions(exchange.query, kind);
    const text = await bodyAsJson(exchange);
    const body: Body = (resource) => decodeJson(resource, text, { fieldValidation: query.fieldValidation });
    return [body, { ...query, warn: exchange.warn }];
  }

  private sendObject(
    exchange: Exchange,
    code: number,
    definition: ResourceDefinition,
    version: Version,
    representation: Representation,
  ): Promise<void> {
    switch (representation.as) {
      case 'Table': {
        const table = objectTable(definition, version, includeObject(exchange), this.clock.now());
        return exchange.send(code, table, representation);
      }
      case 'PartialObjectMetadata':
      case 'PartialObjectMetadataList':
        return exchange.send(code, partialMetadata(version), representation);
      default:
        return exchange.send(code, objectText(definition, version), representation);
    }
  }
}

function includeObject(exchange: Exchange): IncludeObject {
  const asked = exchange.query.get('includeObject') ?? '';
  if (asked === '' || asked === 'Metadata') return 'Metadata';
  if (asked === 'None' || asked === 'Object') return asked;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

async function deleteBody(exchange: Exchange): Promise<DeleteOptions | undefined> {
  const value = await bodyValue(exchange);
  return value === undefined ? undefined : (decodeType('meta.v1.DeleteOptions', value) as DeleteOptions);
}
