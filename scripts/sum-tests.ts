/**
 * Adds up vitest's JSON results in a directory and prints `N passed, N failed[, N skipped]`; before it, briefly, what failed and
 * what passed at a second try only, since of a long log often no more than the end is kept.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

interface TestFile {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

const MESSAGE_LENGTH = 300;

const directory = process.argv[2]!;
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const name of existsSync(directory) ? readdirSync(directory) : []) {
  // Pictures lie there too.
  if (!name.endsWith('.json')) continue;
  const result = JSON.parse(readFileSync(join(directory, name), 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
    testResults: TestFile[];
  };
  sum.passed += result.numPassedTests;
  sum.failed += result.numFailedTests;
  for (const file of result.testResults) {
    const failed = file.assertionResults.filter((a) => a.status === 'failed');
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      const [message] = failureMessages;
      if (message !== undefined) tell(status === 'passed' ? 'second try' : status, file, fullName, message);
    }
    // A file that could not be loaded, or whose set-up or clean-up failed, has no test of its own to count, but has failed.
    if (file.status === 'failed' && failed.length === 0) {
      sum.failed++;
      tell('failed', file, 'as a whole', file.message);
    }
  }
  sum.skipped += result.numPendingTests + result.numTodoTests;
}
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`);

function tell(what: string, { name }: TestFile, test: string, message: string): void {
  const firstLine = stripVTControlCharacters(message).split('\n', 1)[0]!.slice(0, MESSAGE_LENGTH);
  console.log(`${what}: ${relative('.', name)}: ${test}: ${firstLine}`);
}
