/** Adds up vitest's JSON results in a directory and prints `N passed, N failed[, N skipped]`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.argv[2]!;
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const file of existsSync(directory) ? readdirSync(directory) : []) {
  // Pictures lie there too.
  if (!file.endsWith('.json')) continue;
  const result = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
    testResults: { status: string; assertionResults: { status: string }[] }[];
  };
  sum.passed += result.numPassedTests;
  // A file that could not be loaded, or whose set-up or clean-up failed, has no test of its own to count, but has failed.
  sum.failed +=
    result.numFailedTests +
    result.testResults.filter((f) => f.status === 'failed' && f.assertionResults.every((a) => a.status !== 'failed'))
      .length;
  sum.skipped += result.numPendingTests + result.numTodoTests;
}
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`);
