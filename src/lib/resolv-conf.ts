/** What a resolv.conf says; see resolv.conf(5). */
export interface ResolvConf {
  servers: string[];
  searches: string[];
  options: string[];
}

/** Reads a resolv.conf as the kubelet does (`pkg/kubelet/network/dns`, parseResolvConf): at most the last `search` counts. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) servers.push(values[0]);
    // A later `search` replaces an earlier one. A trailing dot says nothing, except alone.
    if (keyword === 'search') searches = values.map((domain) => (domain === '.' ? domain : domain.replace(/\.$/, '')));
    if (keyword === 'options') options = mergeResolverOptions(options, values);
  }
  return { servers, searches: [...new Set(searches)], options };
}

/** One option a name; the later one stands, in the place of the first. */
export function mergeResolverOptions(first: readonly string[], second: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const option of [...first, ...second]) merged.set(option.split(':', 1)[0]!, option);
  return [...merged.values()];
}
