import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EndpointSlice, Service } from '../api/generated/types.ts';
import { computeServiceRules, type Frontend, type ServiceRules } from './compute-rules.ts';
import { baseCommands, commandLine } from './proxy-table.ts';
import { type NftCommand, RuleBook } from './rule-book.ts';

/** As much of nft as the proxy uses, and as strict: a command that the kernel would refuse throws. */
class FakeTable {
  readonly chains = new Map<string, string[]>();
  readonly sets = new Map<string, Map<string, string>>();

  run(commands: readonly NftCommand[]): void {
    for (const command of commands) this.runOne(command);
    for (const rule of [...this.chains.values()].flat()) {
      for (const [, chain] of rule.matchAll(/goto ([\w.-]+)/g))
        if (!this.chains.has(chain!)) throw new Error(`no ${chain}`);
      for (const [, set] of rule.matchAll(/@([\w.-]+)/g)) if (!this.sets.has(set!)) throw new Error(`no ${set}`);
    }
  }

  private runOne([verb, object, name, rest = '']: NftCommand): void {
    const found = <T>(map: Map<string, T>): T => {
      const value = map.get(name);
      if (value === undefined) throw new Error(`${verb} ${object} ${name}: there is none`);
      return value;
    };
    const create = <T>(map: Map<string, T>, value: T): void => {
      if (map.has(name)) throw new Error(`${object} ${name} is there already`);
      map.set(name, value);
    };
    switch (`${verb} ${object}`) {
      case 'add set':
      case 'add map':
        create(this.sets, new Map());
        return;
      case 'add chain':
        create(this.chains, []);
        return;
      case 'add rule':
        found(this.chains).push(rest);
        return;
      case 'flush chain':
        found(this.chains).length = 0;
        return;
      case 'delete chain': {
        if (found(this.chains).length > 0) throw new Error(`chain ${name} is not empty`);
        const users = [...this.chains.values()]
          .flat()
          .filter((rule) => new RegExp(`goto ${name}[ ,]`).test(`${rule} `));
        const values = [...this.sets.values()].flatMap((set) => [...set.values()]);
        if (users.length > 0 || values.includes(`goto ${name}`)) throw new Error(`chain ${name} is in use`);
        this.chains.delete(name);
        return;
      }
      case 'delete set':
        found(this.sets);
        if ([...this.chains.values()].flat().some((rule) => rule.includes(`@${name} `)))
          throw new Error(`set ${name} is in use`);
        this.sets.delete(name);
        return;
      case 'add element':
      case 'delete element': {
        const set = found(this.sets);
        for (const element of rest.slice(2, -2).split(', ')) {
          const [key = '', value = ''] = element.split(' : ');
          if (set.has(key) !== (verb === 'delete'))
            throw new Error(`${verb} element ${name} { ${key} }: has it ${set.has(key)}`);
          if (verb === 'delete') set.delete(key);
          else set.set(key, value);
          const chain = /^goto (.+)/.exec(value)?.[1];
          if (verb === 'add' && chain !== undefined && !this.chains.has(chain)) throw new Error(`no chain ${chain}`);
        }
        return;
      }
      default:
        throw new Error(`not known: ${verb} ${object}`);
    }
  }

  /** What packets meet: the endpoints of each frontend, whatever their order. */
  meaning(): unknown {
    const sets = Object.fromEntries(
      [...this.sets]
        .filter(([, set]) => set.size > 0)
        .map(([name, set]) => {
          const isPlaces = /-(tcp|udp|sctp)$/.test(name);
          const lines = [...set].map(([key, value]) => `${isPlaces ? key.replace(/ \. \d+$/, '') : key} : ${value}`);
          return [name, lines.sort()];
        }),
    );
    const chains = Object.fromEntries(
      [...this.chains]
        .filter(([name]) => !name.startsWith('svc-pick-'))
        .map(([name, rules]) => [
          name,
          // The numbers that are drawn may lead to other endpoints.
          rules
            .map((rule) =>
              rule
                .replace(/\d+ : goto/g, 'goto')
                .split(/, | (?=goto)/)
                .sort(),
            )
            .sort(),
        ]),
    );
    return { sets, chains: Object.fromEntries(Object.entries(chains).sort()) };
  }
}

function freshTable(): FakeTable {
  const table = new FakeTable();
  table.run(baseCommands('br0'));
  return table;
}

const node = { nodeName: 'here', podCIDR: '10.88.0.0/16' };

/** @param clash whether Services want the same addresses and ports now and then */
const arbitraryRules = (clash: boolean) =>
  fc
    .record({
      n: fc.constantFrom(0, 1, 2),
      ready: fc.subarray([1, 2, 3, 4, 5]),
      distant: fc.boolean(),
      sticky: fc.constantFrom(undefined, 10, 20),
      external: fc.constantFrom(undefined, 1, 2),
      node: fc.constantFrom(undefined, 1, 2),
      protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const),
      gone: fc.boolean(),
    })
    .map(({ n, ready, distant, sticky, external, node: port, protocol, gone }) => {
      const own = clash ? 0 : 10 * n;
      const externalIP = external && `192.0.2.${own + external}`;
      const nodePort = port && 30_000 + own + port;
      const key = `shop/s${n}`;
      const service: Service = {
        metadata: { namespace: 'shop', name: `s${n}` },
        spec: {
          type: 'NodePort',
          clusterIPs: [`10.96.0.${n + 1}`],
          ports: [{ port: 80, protocol, ...(nodePort ? { nodePort } : {}) }],
          ...(externalIP ? { externalIPs: [externalIP] } : {}),
          ...(sticky
            ? { sessionAffinity: 'ClientIP' as const, sessionAffinityConfig: { clientIP: { timeoutSeconds: sticky } } }
            : {}),
        },
      };
      const slice: EndpointSlice = {
        metadata: {},
        addressType: 'IPv4',
        ports: [{ port: 8080, protocol }],
        endpoints: [
          ...ready.map((i) => ({ addresses: [`10.88.0.${i}`] })),
          ...(distant ? [{ addresses: ['203.0.113.1'] }] : []),
        ],
      };
      return {
        key,
        rulesAfter: (old?: ServiceRules) => (gone ? undefined : computeServiceRules(service, [slice], node, old)),
      };
    });

/** Applies batches of changes one after another. */
function applyAll(
  batches: readonly (readonly { key: string; rulesAfter(old?: ServiceRules): ServiceRules | undefined }[])[],
) {
  const book = new RuleBook();
  const table = freshTable();
  for (const batch of batches) {
    const changes = new Map<string, ServiceRules | undefined>();
    for (const { key, rulesAfter } of batch) changes.set(key, rulesAfter(book.get(key)));
    const plan = book.plan(changes);
    table.run(plan.commands);
    plan.commit();
    // Once applied, the same is no change.
    expect(book.plan(changes).commands).toEqual([]);
  }
  return { book, table };
}

const batches = (clash: boolean) =>
  fc.array(fc.array(arbitraryRules(clash), { minLength: 1, maxLength: 4 }), { maxLength: 8 });

function removeAll(book: RuleBook, table: FakeTable): void {
  table.run(book.plan(new Map(book.keys().map((key) => [key, undefined]))).commands);
  expect(table.meaning()).toEqual(freshTable().meaning());
}

describe('the difference, applied to what was, is what is to be', () => {
  test('whatever changes, in whatever batches', () => {
    fc.assert(
      fc.property(batches(false), (all) => {
        const { book, table } = applyAll(all);
        const anew = freshTable();
        anew.run(new RuleBook().plan(new Map(book.keys().map((key) => [key, book.get(key)]))).commands);
        expect(table.meaning()).toEqual(anew.meaning());
        removeAll(book, table);
      }),
    );
  });

  test('what several want leads to one of them, wholly', () => {
    fc.assert(
      fc.property(batches(true), (all) => {
        const { book, table } = applyAll(all);
        const wanted = new Map<string, Frontend[]>();
        for (const key of book.keys()) {
          for (const [frontend, value] of book.get(key)!.frontends)
            wanted.set(frontend, [...(wanted.get(frontend) ?? []), value]);
        }
        for (const [frontend, wanting] of wanted) {
          const alone = wanting.map((one) => {
            const other = freshTable();
            const rules: ServiceRules = {
              ...computeServiceRules({ metadata: {}, spec: {} }, [], node),
              frontends: new Map([[frontend, one]]),
              chains: new Map([[one.stickyChain ?? 'x', []]]),
            };
            other.run(new RuleBook().plan(new Map([['a', rules]])).commands);
            return elementsOf(other, frontend, one.protocol);
          });
          expect(alone).toContainEqual(elementsOf(table, frontend, wanting[0]!.protocol));
        }
        removeAll(book, table);
      }),
    );
  });
});

/** All elements that have to do with a frontend. */
function elementsOf(table: FakeTable, frontend: string, protocol: string): string[] {
  const place = frontend
    .split(' . ')
    .filter((word) => word !== protocol)
    .join(' . ');
  return [...table.sets]
    .flatMap(([name, set]) =>
      [...set]
        .filter(([key]) => key === frontend || (name.endsWith(`-${protocol}`) && key.startsWith(`${place} . `)))
        .map(([key, value]) => `${name} ${key} ${value}`),
    )
    .sort();
}

describe('one change', () => {
  const rules = (addresses: string[], old?: ServiceRules, spec: object = {}): ServiceRules =>
    computeServiceRules(
      {
        metadata: { namespace: 'shop', name: 'web' },
        spec: { clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }], ...spec },
      },
      [
        {
          metadata: {},
          addressType: 'IPv4',
          ports: [{ port: 8080 }],
          endpoints: addresses.map((address) => ({ addresses: [address] })),
        },
      ],
      node,
      old,
    );
  const lines = (book: RuleBook, key: string, after: ServiceRules | undefined): string[] => {
    const plan = book.plan(new Map([[key, after]]));
    plan.commit();
    return plan.commands.map((command) => commandLine('kl', command));
  };

  test('is no longer than it has to be', () => {
    const book = new RuleBook();
    lines(book, 'shop/web', rules(['10.88.0.2', '10.88.0.3', '10.88.0.4']));
    lines(book, 'shop/web', rules(['10.88.0.2', '10.88.0.3'], book.get('shop/web')));
    expect(lines(book, 'shop/web', rules(['10.88.0.2', '10.88.0.3', '10.88.0.5'], book.get('shop/web')))).toEqual([
      'delete element ip kl svc-addresses { 10.96.0.7 . tcp . 80 }',
      'add element ip kl svc-addresses { 10.96.0.7 . tcp . 80 : goto svc-pick-address-tcp-3 }',
      'add element ip kl svc-address-tcp { 10.96.0.7 . 80 . 2 : 10.88.0.5 . 8080 }',
    ]);
    expect(lines(book, 'shop/web', rules(['10.88.0.2', '10.88.0.9', '10.88.0.5'], book.get('shop/web')))).toEqual([
      'delete element ip kl svc-address-tcp { 10.96.0.7 . 80 . 1 }',
      'add element ip kl svc-address-tcp { 10.96.0.7 . 80 . 1 : 10.88.0.9 . 8080 }',
    ]);
    expect(lines(book, 'shop/web', rules([], book.get('shop/web')))).toContain(
      'add element ip kl svc-refused-addresses { 10.96.0.7 . tcp . 80 }',
    );
  });

  test('names who has what another wants, and hands it over when that one goes', () => {
    const book = new RuleBook();
    const external = { externalIPs: ['192.0.2.1'] };
    lines(book, 'shop/a', rules(['10.88.0.2'], undefined, { ...external, clusterIPs: ['10.96.0.1'] }));
    const second = rules(['10.88.0.3'], undefined, { ...external, clusterIPs: ['10.96.0.2'] });
    expect(book.plan(new Map([['shop/b', second]])).conflicts).toEqual([
      { service: 'shop/b', frontend: '192.0.2.1 . tcp . 80', owner: 'shop/a' },
    ]);
    expect(lines(book, 'shop/b', second).join('\n')).not.toContain('192.0.2.1');
    expect(lines(book, 'shop/a', undefined)).toContain(
      'add element ip kl svc-address-tcp { 192.0.2.1 . 80 . 0 : 10.88.0.3 . 8080 }',
    );
  });

  test('tells which UDP endpoints are left, and which frontends lead somewhere now, for their flows', () => {
    const book = new RuleBook();
    const slice = (...addresses: string[]): EndpointSlice => ({
      metadata: {},
      addressType: 'IPv4',
      ports: [{ port: 5353, protocol: 'UDP' }],
      endpoints: addresses.map((address) => ({ addresses: [address] })),
    });
    const dns = (...addresses: string[]): ServiceRules =>
      computeServiceRules(
        {
          metadata: { namespace: 'shop', name: 'dns' },
          spec: { clusterIPs: ['10.96.0.9'], ports: [{ port: 53, protocol: 'UDP' }] },
        },
        [slice(...addresses)],
        node,
      );
    const first = book.plan(new Map([['shop/dns', dns('10.88.0.2', '10.88.0.3')]]));
    expect([...first.newUdp]).toEqual([['10.96.0.9 . udp . 53', ['10.88.0.2 . 5353', '10.88.0.3 . 5353']]]);
    first.commit();
    expect(book.leadsTo('10.88.0.2')).toBe(true);
    const plan = book.plan(new Map([['shop/dns', dns('10.88.0.3')]]));
    expect(plan.leftUdp).toEqual(['10.88.0.2 . 5353']);
    expect(plan.newUdp.size).toBe(0);
    // Not before the kernel has it.
    expect(book.leadsTo('10.88.0.2')).toBe(true);
    plan.commit();
    expect(book.leadsTo('10.88.0.2')).toBe(false);
  });
});
