import { pino } from 'pino';
import type { Logger } from '../lib/logger.ts';

/**
 * Structured lines (JSON) appended to a file that only its owner can read. Lines are written at once: the last ones
 * before a crash are the ones that matter.
 */
export function fileLogger(path: string, level: 'debug' | 'info' = 'info'): Logger {
  const destination = pino.destination({ dest: path, append: true, mkdir: true, sync: true, mode: 0o600 });
  // A full disk must not bring the agent down; it has other ways to say so.
  destination.on('error', () => {});
  return pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
