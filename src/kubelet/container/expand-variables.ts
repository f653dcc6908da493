/**
 * Replaces `$(NAME)` by the variable's value; a name that is not known stays as it is written, and `$$` is a dollar sign, so that
 * `$$(NAME)` stays `$(NAME)` (`third_party/forked/golang/expansion`).
 */
export function expandVariables(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (variables.get(name) ?? whole),
  );
}

/**
 * The same for a `subPathExpr`, where every name has to be known and not empty (`pkg/kubelet/container/helpers.go`).
 * @throws Error naming the missing ones
 */
export function expandStrictly(text: string, variables: ReadonlyMap<string, string>): string {
  const missing = [...text.matchAll(/\$(?:\$|\(([^)]*)\))/g)]
    .map((match) => match[1])
    .filter((name) => name !== undefined && !variables.get(name));
  if (missing.length > 0) throw new Error(`missing value for ${[...new Set(missing)].sort().join(', ')}`);
  return expandVariables(text, variables);
}
