import type { Frontend, FrontendKey, ServiceRules } from './compute-rules.ts';
import { pickChain, pickRule, SETS } from './proxy-table.ts';

/** How to get from one state of the kernel to the next. */
export interface Plan {
  /** nft commands without the table, to be run as one transaction. Empty: nothing changes. */
  readonly commands: readonly NftCommand[];
  /** `10.88.0.5 . 53`: endpoints that some UDP frontend no longer leads to. */
  readonly leftUdp: readonly string[];
  /** UDP frontends that led nowhere before, and their endpoints. */
  readonly newUdp: ReadonlyMap<FrontendKey, readonly string[]>;
  /** Services that do not get something, because another has it. */
  readonly conflicts: readonly Conflict[];
  /** To be called once the kernel has it. */
  commit(): void;
}

export type NftCommand = readonly [verb: 'add' | 'delete' | 'flush', object: string, name: string, rest?: string];

export interface Conflict {
  readonly service: string;
  readonly frontend: FrontendKey;
  /** The Service that has it. */
  readonly owner: string;
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();
type Elements = ReadonlyMap<string, string>;

/**
 * What the kernel has of every Service, and what a change of some of them means for it: the difference, and nothing of the others.
 * Pure but for its memory, which only `commit` changes.
 */
export class RuleBook {
  private readonly services = new Map<string, ServiceRules>();
  /** Who wants a frontend; the first has it. */
  private readonly claims = new Map<FrontendKey, readonly string[]>();
  /** How many Services want an element that several may have. */
  private readonly shared = new Map<string, number>();
  private readonly pickChains = new Set<string>();
  /** How many frontends lead to an address. */
  private readonly targets = new Map<string, number>();

  /** @param key `NAMESPACE/NAME` */
  get(key: string): ServiceRules | undefined {
    return this.services.get(key);
  }

  keys(): string[] {
    return [...this.services.keys()];
  }

  /** Whether some frontend leads to this address. */
  leadsTo(address: string): boolean {
    return this.targets.has(address);
  }

  /** @param changes the rules of Services by key; undefined when there is no such Service any more */
  plan(changes: ReadonlyMap<string, ServiceRules | undefined>): Plan {
    const claims = new Map<FrontendKey, readonly string[]>();
    const shared = new Map<string, number>();
    const count = (element: string, by: number): void => {
      shared.set(element, (shared.get(element) ?? this.shared.get(element) ?? 0) + by);
    };
    const conflicts: Conflict[] = [];
    const leftUdp = new Set<string>();
    const newUdp = new Map<FrontendKey, readonly string[]>();
    for (const [key, rules] of changes) {
      const old = this.services.get(key);
      for (const element of sharedElements(old)) count(element, -1);
      for (const element of sharedElements(rules)) count(element, 1);
      for (const frontend of new Set([...(old?.frontends ?? NONE).keys(), ...(rules?.frontends ?? NONE).keys()])) {
        const wanting = claims.get(frontend) ?? this.claims.get(frontend) ?? [];
        const wants = rules?.frontends.has(frontend) ?? false;
        const next = wants ? [...new Set([...wanting, key])] : wanting.filter((other) => other !== key);
        claims.set(frontend, next);
      }
    }
    const rulesOf = (key: string): ServiceRules | undefined =>
      changes.has(key) ? changes.get(key) : this.services.get(key);

    const batch = new Batch();
    const newPicks = new Set<string>();
    const targets: [address: string, by: number][] = [];
    for (const [key, wanting] of claims) {
      const [oldOwner] = this.claims.get(key) ?? [];
      const [owner] = wanting;
      const before = oldOwner === undefined ? undefined : this.services.get(oldOwner)?.frontends.get(key);
      const after = owner === undefined ? undefined : rulesOf(owner)!.frontends.get(key);
      const pick = after && pickOf(key, after);
      if (pick && !this.pickChains.has(pick.chain) && !newPicks.has(pick.chain)) {
        newPicks.add(pick.chain);
        batch.addChain(pick.chain, [pick.rule]);
      }
      batch.changeElements(elementsOf(key, before), elementsOf(key, after));
      for (const target of before?.endpoints ?? []) {
        targets.push([addressOf(target), -1]);
        if (before!.protocol === 'udp' && !after?.endpoints.includes(target)) leftUdp.add(target);
      }
      for (const target of after?.endpoints ?? []) targets.push([addressOf(target), 1]);
      if (after?.protocol === 'udp' && after.endpoints.length > 0 && !before?.endpoints.length) {
        newUdp.set(key, after.endpoints);
      }
      for (const service of wanting.slice(1)) {
        if (changes.has(service)) conflicts.push({ service, frontend: key, owner: owner! });
      }
    }
    for (const [element, times] of shared) {
      const had = (this.shared.get(element) ?? 0) > 0;
      const one = new Map([[element, '']]);
      if (had && times === 0) batch.changeElements(one, NONE);
      if (!had && times > 0) batch.changeElements(NONE, one);
    }
    for (const [key, rules] of changes) batch.changeChains(this.services.get(key), rules);

    return {
      commands: batch.commands(),
      leftUdp: [...leftUdp],
      newUdp,
      conflicts,
      commit: () => {
        for (const [key, rules] of changes) {
          if (rules) this.services.set(key, rules);
          else this.services.delete(key);
        }
        for (const [key, wanting] of claims) {
          if (wanting.length > 0) this.claims.set(key, wanting);
          else this.claims.delete(key);
        }
        for (const [element, times] of shared) setCount(this.shared, element, times);
        for (const [address, by] of targets) setCount(this.targets, address, (this.targets.get(address) ?? 0) + by);
        for (const chain of newPicks) this.pickChains.add(chain);
      },
    };
  }
}

/** Commands in an order in which nothing is used before it is there, nor removed while it is used. */
class Batch {
  private readonly added: NftCommand[] = [];
  private readonly rules: NftCommand[] = [];
  private readonly deletedElements = new Map<string, string[]>();
  private readonly addedElements = new Map<string, string[]>();
  private readonly flushed: NftCommand[] = [];
  private readonly deletedChains: NftCommand[] = [];
  private readonly deletedSets: NftCommand[] = [];

  addChain(chain: string, rules: readonly string[]): void {
    this.added.push(['add', 'chain', chain]);
    for (const rule of rules) this.rules.push(['add', 'rule', chain, rule]);
  }

  changeElements(before: Elements, after: Elements): void {
    for (const [element, value] of before) {
      if (after.get(element) !== value) addTo(this.deletedElements, element, '');
    }
    for (const [element, value] of after) {
      if (before.get(element) !== value) addTo(this.addedElements, element, value && ` : ${value}`);
    }
  }

  changeChains(before: ServiceRules | undefined, after: ServiceRules | undefined): void {
    for (const [chain, rules] of after?.chains ?? NONE) {
      const old = before?.chains.get(chain);
      if (!old) this.addChain(chain, rules);
      else if (old.join('\n') !== rules.join('\n')) {
        this.rules.push(['flush', 'chain', chain], ...rules.map((rule): NftCommand => ['add', 'rule', chain, rule]));
      }
    }
    for (const chain of before?.chains.keys() ?? []) {
      if (after?.chains.has(chain)) continue;
      this.flushed.push(['flush', 'chain', chain]);
      this.deletedChains.push(['delete', 'chain', chain]);
    }
    for (const [set, definition] of after?.sets ?? NONE) {
      if (!before?.sets.has(set)) this.added.push(['add', 'set', set, `{ ${definition} }`]);
    }
    for (const set of before?.sets.keys() ?? []) {
      if (!after?.sets.has(set)) this.deletedSets.push(['delete', 'set', set]);
    }
  }

  commands(): NftCommand[] {
    const elements = (verb: 'add' | 'delete', bySet: ReadonlyMap<string, readonly string[]>): NftCommand[] =>
      [...bySet].map(([set, list]) => [verb, 'element', set, `{ ${list.join(', ')} }`]);
    return [
      ...this.added,
      ...this.rules,
      ...elements('delete', this.deletedElements),
      ...elements('add', this.addedElements),
      ...this.flushed,
      ...this.deletedChains,
      ...this.deletedSets,
    ];
  }
}

/** A frontend's elements: `SET KEY` to their value, '' in sets. */
function elementsOf(key: FrontendKey, frontend: Frontend | undefined): Elements {
  if (!frontend) return NONE;
  const isNodePort = isNodePortKey(key);
  const sets = isNodePort ? SETS.nodePort : SETS.address;
  const pick = pickOf(key, frontend);
  if (!pick && !frontend.stickyChain) return new Map([[`${sets.refused} ${key}`, '']]);
  const elements = new Map([[`${sets.frontends} ${key}`, `goto ${frontend.stickyChain ?? pick!.chain}`]]);
  if (pick) {
    const words = key.split(' . ').filter((word) => word !== frontend.protocol);
    const place = `${sets.endpoints[frontend.protocol]} ${words.join(' . ')}`;
    for (const [i, target] of frontend.endpoints.entries()) elements.set(`${place} . ${i}`, target);
  }
  return elements;
}

/** The chain that draws one of its endpoints; none for those that have none, or a chain of their own. */
function pickOf(key: FrontendKey, frontend: Frontend): { chain: string; rule: string } | undefined {
  const { protocol, endpoints, stickyChain } = frontend;
  if (endpoints.length === 0 || stickyChain !== undefined) return undefined;
  const kind = isNodePortKey(key) ? 'nodePort' : 'address';
  return { chain: pickChain(kind, protocol, endpoints.length), rule: pickRule(kind, protocol, endpoints.length) };
}

function isNodePortKey(key: FrontendKey): boolean {
  return !/^\d/.test(key);
}

function sharedElements(rules: ServiceRules | undefined): string[] {
  if (!rules) return [];
  const { clusterIPs, distant, guarded, allowed } = rules;
  const of = (set: string, keys: readonly string[]): string[] => keys.map((key) => `${set} ${key}`);
  return [
    ...of(SETS.clusterIPs, clusterIPs),
    ...of(SETS.distant, distant),
    ...of(SETS.guarded, guarded),
    ...of(SETS.allowed, allowed),
  ];
}

function addressOf(target: string): string {
  return target.slice(0, target.indexOf(' '));
}

/** @param element `SET KEY` */
function addTo(bySet: Map<string, string[]>, element: string, value: string): void {
  const space = element.indexOf(' ');
  const set = element.slice(0, space);
  const list = bySet.get(set);
  const text = `${element.slice(space + 1)}${value}`;
  if (list) list.push(text);
  else bySet.set(set, [text]);
}

function setCount(counts: Map<string, number>, key: string, count: number): void {
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
