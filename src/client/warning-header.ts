/** The texts of an HTTP `Warning` header: `299 - "one", 299 - "two \"quoted\""`. Anything else in it is passed over. */
export function parseWarnings(header: string | string[] | undefined): string[] {
  const whole = Array.isArray(header) ? header.join(', ') : (header ?? '');
  return [...whole.matchAll(/\b\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!.replace(/\\(.)/g, '$1'));
}
