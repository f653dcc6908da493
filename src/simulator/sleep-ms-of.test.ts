import { expect, test } from 'vitest';
import { sleepMsOf } from './sleep-ms-of.ts';

test.each([
  [['sleep', '5'], 5000],
  [['/bin/sleep', '0.5'], 500],
  [['sleep', '2m'], 120_000],
  [['sh', '-c', 'sleep 10'], 10_000],
  [['sh', '-c', 'sleep 0.5h; sleep 1d'], 88_200_000],
  [['/bin/bash', '-ec', 'nginx -s quit; sleep 3 && sleep 1.5s'], 4500],
  [['sh', '-c', 'echo asleep 10'], 0],
  [['sh', '-c', 'true'], 0],
  [['python', '-c', 'sleep 10'], 0],
  [['sleep'], 0],
  [[], 0],
])('%j sleeps %d ms', (command, ms) => {
  expect(sleepMsOf(command)).toBe(ms);
});
