import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { decodeType } from '../../api/decode.ts';
import type { EndpointSlice, Node, Pod, Service } from '../../api/generated/types.ts';
import { isTerminalPhase } from '../../api/pod-phase.ts';
import { ENDPOINTSLICES, NODES, PODS, SERVICES } from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import { type FieldError, forbidden, invalid, invalidError } from '../../api/validation/field-error.ts';
import { badRequest, noSuchResource } from '../registry/api-errors.ts';
import { chooseContainer } from '../registry/pod-container.ts';
import type { Registry } from '../registry/registry.ts';
import { findResource } from '../registry/resource-table.ts';
import type { Exchange } from './exchange.ts';
import { type KubeletLocation, type KubeletProxy, locateKubelet } from './kubelet-proxy.ts';
import { isTrue, type ResourceRequestInfo } from './request-info.ts';
import { integer } from './request-options.ts';

const MAX_ERROR_TEXT = 4096;

/** Pod subresources that become one upgraded connection, and what the kubelet calls them. */
const UPGRADES: Readonly<Record<string, 'exec' | 'attach' | 'portForward'>> = {
  exec: 'exec',
  attach: 'attach',
  portforward: 'portForward',
};

/** Requests that end at a container or at the kubelet: they are checked here and carried out there. */
export class PodStreams {
  private readonly registry: Registry;
  private readonly proxy: KubeletProxy;
  private readonly kubeletHost: string | undefined;

  constructor(registry: Registry, proxy: KubeletProxy, kubeletHost: string | undefined) {
    this.registry = registry;
    this.proxy = proxy;
    this.kubeletHost = kubeletHost;
  }

  /** Whether this request is for here and not for the resource handler. */
  serves({ group, plural, subresource = '' }: ResourceRequestInfo): boolean {
    if (group !== '') return false;
    if (plural === NODES.plural || plural === SERVICES.plural) return subresource === 'proxy';
    return plural === PODS.plural && (subresource in UPGRADES || subresource === 'log' || subresource === 'proxy');
  }

  /** @throws ApiStatusError */
  async handle(exchange: Exchange, info: ResourceRequestInfo): Promise<void> {
    if (info.plural === NODES.plural) {
      const search = exchange.query.size > 0 ? `?${exchange.query}` : '';
      const answer = await this.proxy.requestKubelet(this.locate(info.name!), `${info.rest || '/'}${search}`, exchange);
      return this.proxy.relay(answer, exchange);
    }
    if (info.plural === SERVICES.plural) return this.serviceProxy(exchange, info);
    if (info.subresource === 'proxy') return this.podProxy(exchange, info);
    const pod = this.pod(info);
    if (info.subresource === 'log') return this.log(exchange, pod);
    // Without the upgrade there is nothing to do but to say what is wrong.
    if (info.subresource !== 'portforward') chooseContainer(pod, exchange.query.get('container'));
    throw badRequest('Upgrade request required');
  }

  /** A connection that the client wants to upgrade. @throws ApiStatusError */
  upgrade(
    info: ResourceRequestInfo,
    query: URLSearchParams,
    request: IncomingMessage,
    client: Socket,
    head: Buffer,
  ): void {
    const route = UPGRADES[info.subresource ?? ''];
    if (!route || info.plural !== PODS.plural || info.group !== '') throw noSuchResource();
    const pod = this.pod(info);
    const { namespace, name } = pod.metadata;
    let path = `/${route}/${namespace}/${name}`;
    if (route !== 'portForward') path += `/${chooseContainer(pod, query.get('container'))}`;
    const { nodeName } = pod.spec;
    if (!nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
    const phase = pod.status?.phase;
    if (route === 'exec' && isTerminalPhase(phase)) {
      throw badRequest(`cannot exec into a container in a completed pod; current phase is ${phase}`);
    }
    query.delete('container');
    this.proxy.upgradeToKubelet(this.locate(nodeName), `${path}?${query}`, request, client, head);
  }

  private async log(exchange: Exchange, pod: Pod): Promise<void> {
    const { query } = exchange;
    const { name = '', namespace } = pod.metadata;
    validateLogOptions(query, name);
    const container = chooseContainer(pod, query.get('container'));
    if (!pod.spec.nodeName) {
      exchange.response.statusCode = 204;
      exchange.response.end();
      return;
    }
    query.delete('container');
    const path = `/containerLogs/${namespace}/${name}/${container}?${query}`;
    const answer = await this.proxy.requestKubelet(this.locate(pod.spec.nodeName), path, exchange);
    if (answer.statusCode !== 200) throw await kubeletError(answer, name);
    // Node's own head would hold back a log that is still empty.
    exchange.startStream('text/plain');
    answer.pipe(exchange.response);
  }

  /** The port defaults to the first one that a container names. */
  private async podProxy(exchange: Exchange, info: ResourceRequestInfo): Promise<void> {
    const { name, port: portText } = proxyTarget(info);
    const pod = this.pod({ ...info, name });
    const ports = pod.spec.containers.flatMap((c) => c.ports ?? []);
    const port = portText
      ? (ports.find((p) => p.name === portText)?.containerPort ?? Number(portText))
      : (ports[0]?.containerPort ?? 80);
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw badRequest(`invalid pod proxy port: ${portText}`);
    const host = pod.status?.podIP;
    if (!host) throw badRequest(`address not allowed: pod ${name} has no address yet`);
    return this.relayToPod(exchange, info, host, port);
  }

  /** To one of the Service's ready endpoints; the port is a name or a number of the Service's, and may be left out when it has one. */
  private async serviceProxy(exchange: Exchange, info: ResourceRequestInfo): Promise<void> {
    const { name, port: portText } = proxyTarget(info);
    const { namespace } = info;
    const service = this.registry.get(findResource(SERVICES)!, namespace, name).object as Service;
    const ports = service.spec?.ports ?? [];
    const wanted = portText
      ? ports.find((port) => port.name === portText || String(port.port) === portText)
      : ports.length === 1 && ports[0];
    const unavailable = (why: string): ApiStatusError => new ApiStatusError(503, 'ServiceUnavailable', why);
    if (!wanted) throw unavailable(`no service port ${JSON.stringify(portText ?? '')} found for service "${name}"`);
    const labelSelector = `kubernetes.io/service-name=${name}`;
    const { items } = this.registry.list(findResource(ENDPOINTSLICES)!, { namespace, labelSelector });
    for (const { addressType, endpoints, ports: own } of items.map(({ object }) => object as EndpointSlice)) {
      const ready = addressType === 'IPv4' && endpoints?.find(({ conditions }) => conditions?.ready !== false);
      const port = own?.find((each) => (each.name ?? '') === (wanted.name ?? ''))?.port;
      if (ready && port !== undefined) return this.relayToPod(exchange, info, ready.addresses[0]!, port);
    }
    throw unavailable(`no endpoints available for service "${name}"`);
  }

  private async relayToPod(exchange: Exchange, info: ResourceRequestInfo, host: string, port: number): Promise<void> {
    const search = exchange.query.size > 0 ? `?${exchange.query}` : '';
    const answer = await this.proxy.requestPod(host, port, `${info.rest || '/'}${search}`, exchange);
    this.proxy.relay(answer, exchange);
  }

  private pod({ namespace, name }: Pick<ResourceRequestInfo, 'namespace' | 'name'>): Pod {
    return this.registry.get(findResource(PODS)!, namespace, name!).object as Pod;
  }

  private locate(nodeName: string): KubeletLocation {
    return locateKubelet(this.registry.get(findResource(NODES)!, undefined, nodeName).object as Node, this.kubeletHost);
  }
}

/** `[SCHEME:]NAME[:PORT]` @throws ApiStatusError 400 */
function proxyTarget(info: ResourceRequestInfo): { name: string; port: string | undefined } {
  const [first = '', second, third] = (info.name ?? '').split(':');
  const hasScheme = second !== undefined && (first === 'http' || first === 'https');
  if (hasScheme && first === 'https') throw badRequest('the proxy does not speak https to pods yet');
  return hasScheme ? { name: second, port: third } : { name: first, port: second };
}

/** @throws ApiStatusError 400, 422. Rules: pkg/apis/core/validation ValidatePodLogOptions */
function validateLogOptions(query: URLSearchParams, podName: string): void {
  const errors: FieldError[] = [];
  const [tailLines, sinceSeconds, limitBytes] = ['tailLines', 'sinceSeconds', 'limitBytes'].map((n) =>
    integer(query, n),
  );
  if (tailLines !== undefined && tailLines < 0) {
    errors.push(invalid('tailLines', tailLines, 'must be greater than or equal to 0'));
  }
  if (limitBytes !== undefined && limitBytes < 1) {
    errors.push(invalid('limitBytes', limitBytes, 'must be greater than 0'));
  }
  const sinceTime = query.get('sinceTime');
  if (sinceTime) decodeType('meta.v1.Time', sinceTime);
  if (sinceSeconds !== undefined && sinceTime) {
    errors.push({
      type: 'Forbidden',
      field: '',
      detail: 'at most one of `sinceTime` or `sinceSeconds` may be specified',
    });
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalid('sinceSeconds', sinceSeconds, 'must be greater than 0'));
  }
  // Upstream serves it once the gate PodLogsQuerySplitStreams is on.
  if (query.has('stream')) errors.push(forbidden('stream', 'may not be specified'));
  if (errors.length > 0) throw invalidError({ group: '', kind: 'PodLogOptions' }, podName, errors);
  if (isTrue(query.get('insecureSkipTLSVerifyBackend'))) query.delete('insecureSkipTLSVerifyBackend');
}

/** What the kubelet said, as a Status. Source: apiserver pkg/registry/generic/rest/response_checker.go */
async function kubeletError(answer: IncomingMessage, podName: string): Promise<ApiStatusError> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8').slice(0, MAX_ERROR_TEXT).trim();
  const code = answer.statusCode ?? 500;
  if (code === 400) return badRequest(text);
  if (code === 404) {
    const details = {
      name: podName,
      kind: PODS.plural,
      causes: [{ reason: 'UnexpectedServerResponse', message: text }],
    };
    const message = `the server could not find the requested resource ( pods/log ${podName})`;
    return new ApiStatusError(404, 'NotFound', message, details);
  }
  return new ApiStatusError(500, 'InternalError', `Internal error occurred: ${text}`, { causes: [{ message: text }] });
}
