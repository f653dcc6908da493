import { parseDuration } from '../../lib/go-duration.ts';
import type { HealthWindow } from '../scenario.ts';
import type { Complain } from './pod-targets.ts';

type Answer = HealthWindow['answer'];
const ANSWERS: readonly Answer[] = ['failure', 'refused', 'hang', 'error'];
const LONGEST_MS = 24 * 3_600_000;
const MOST_FAILURES = 100;

/** How often something fails. */
export function countOf(text: string, complain: Complain): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST_FAILURES) return count;
  throw complain(`${JSON.stringify(text)} is no number from 1 to ${MOST_FAILURES}`);
}

/** Milliseconds. */
export function durationOf(text: string, complain: Complain): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw complain(`${JSON.stringify(text)} is no duration`, 'such as 500ms, 40s, 1m30s');
  if (ms > LONGEST_MS) throw complain(`${text} is longer than 24h`);
  return Math.round(ms);
}

export function answerOf(word: string, complain: Complain): Answer {
  const answer = ANSWERS.find((a) => a === word);
  if (answer) return answer;
  throw complain(`${JSON.stringify(word)} is no answer`, `answers are ${ANSWERS.join(', ')}`);
}
