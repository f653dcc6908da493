/** Lines of context around a difference. */
const CONTEXT = 3;
/** Beyond this the changed part is shown as a whole: the table of the longest common subsequence would be too large. */
const MAX_CELLS = 1_000_000;

type Edit = { readonly kind: ' ' | '-' | '+'; readonly line: string };

/** The difference of two texts in unified form, without file names; empty when they are the same. */
export function unifiedDiff(before: readonly string[], after: readonly string[]): string {
  const edits = editsOf(before, after);
  let text = '';
  let oldLine = 1;
  let newLine = 1;
  let start = 0;
  while (start < edits.length) {
    if (edits[start]!.kind === ' ') {
      start++;
      oldLine++;
      newLine++;
      continue;
    }
    // A hunk goes on as long as the next change is no further away than two contexts.
    let end = start;
    for (let i = start; i < edits.length && i - end <= 2 * CONTEXT + 1; i++) if (edits[i]!.kind !== ' ') end = i;
    const from = Math.max(0, start - CONTEXT);
    const hunk = edits.slice(from, end + 1 + CONTEXT);
    const oldCount = hunk.filter((edit) => edit.kind !== '+').length;
    const newCount = hunk.filter((edit) => edit.kind !== '-').length;
    const lead = start - from;
    text += `@@ -${range(oldLine - lead, oldCount)} +${range(newLine - lead, newCount)} @@\n`;
    for (const { kind, line } of hunk) text += `${kind}${line}\n`;
    for (; start <= end; start++) {
      if (edits[start]!.kind !== '+') oldLine++;
      if (edits[start]!.kind !== '-') newLine++;
    }
  }
  return text;
}

function range(start: number, count: number): string {
  if (count === 1) return String(start);
  return `${count === 0 ? start - 1 : start},${count}`;
}

function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail++;
  }
  const same = (line: string): Edit => ({ kind: ' ', line });
  return [
    ...before.slice(0, head).map(same),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

function middle(before: readonly string[], after: readonly string[]): Edit[] {
  const removed = (line: string): Edit => ({ kind: '-', line });
  const added = (line: string): Edit => ({ kind: '+', line });
  const width = after.length + 1;
  if (before.length * width > MAX_CELLS) return [...before.map(removed), ...after.map(added)];
  // common[i * width + j]: the longest common subsequence of what follows line i and line j.
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const edits: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      edits.push({ kind: ' ', line: before[i++]! });
      j++;
    } else if (j >= after.length || (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      edits.push(removed(before[i++]!));
    } else {
      edits.push(added(after[j++]!));
    }
  }
  return edits;
}
