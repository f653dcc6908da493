import { readFileSync } from 'node:fs';

export interface Mount {
  readonly path: string;
  /** `cgroup2`, `overlay`, ... */
  readonly type: string;
}

/** What is mounted in our mount namespace, oldest first. */
export function mountTable(): Mount[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Reads the format of /proc/PID/mountinfo (proc(5)). Pure. */
export function parseMountInfo(text: string): Mount[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [before, after] = line.split(' - ');
      // Blanks, tabs, newlines and backslashes are written in octal.
      const path = before!.split(' ')[4]!.replace(/\\([0-7]{3})/g, (_, octal: string) => {
        return String.fromCharCode(Number.parseInt(octal, 8));
      });
      return { path, type: after!.split(' ')[0]! };
    });
}
