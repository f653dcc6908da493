import type { IncomingMessage } from 'node:http';
import { badRequest } from '../registry/api-errors.ts';
import type { User } from './access.ts';

const EXTRA = 'impersonate-extra-';
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/;
const NODE = /^system:node:./;

/** Who a request wants to be taken for, and which kind of name that is in the verbs that must be allowed for it. */
export interface Impersonation {
  readonly user: User;
  readonly mode: 'user-info' | 'serviceaccount' | 'arbitrary-node';
}

/**
 * What the `Impersonate-` headers ask for; undefined without any.
 * Source: apiserver pkg/endpoints/filters/impersonation
 * @throws ApiStatusError 400
 */
export function impersonationOf({ headers, headersDistinct }: IncomingMessage): Impersonation | undefined {
  const name = first(headers['impersonate-user']);
  const uid = first(headers['impersonate-uid']);
  const groups = headersDistinct['impersonate-group'] ?? [];
  const extra: Record<string, string[]> = {};
  for (const [header, values = []] of Object.entries(headersDistinct)) {
    if (header.startsWith(EXTRA)) extra[unescapeKey(header.slice(EXTRA.length))] = values;
  }
  if (name === '') {
    if (uid === '' && groups.length === 0 && Object.keys(extra).length === 0) return undefined;
    throw badRequest(`requested ${goSyntax(uid, groups, extra)} without impersonating a user name`);
  }
  const account = SERVICE_ACCOUNT.exec(name);
  const fixed =
    groups.length > 0
      ? groups
      : account
        ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`]
        : NODE.test(name)
          ? ['system:nodes']
          : [];
  return {
    user: {
      name,
      groups: withEveryone(name, fixed),
      ...(uid === '' ? {} : { uid }),
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
    },
    mode: account ? 'serviceaccount' : NODE.test(name) ? 'arbitrary-node' : 'user-info',
  };
}

function withEveryone(name: string, groups: readonly string[]): readonly string[] {
  const everyone = name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated';
  return groups.includes(everyone) || groups.includes('system:unauthenticated') ? groups : [...groups, everyone];
}

function first(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** As Go prints the user that was asked for. */
function goSyntax(uid: string, groups: readonly string[], extra: Readonly<Record<string, string[]>>): string {
  const list = (values: readonly string[]): string => `[]string{${values.map((v) => JSON.stringify(v)).join(', ')}}`;
  const keys = Object.keys(extra).sort();
  const map = keys.map((key) => `${JSON.stringify(key)}:${list(extra[key]!)}`).join(', ');
  return `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${groups.length > 0 ? list(groups) : '[]string(nil)'}, Extra:map[string][]string${keys.length > 0 ? `{${map}}` : '(nil)'}}`;
}
