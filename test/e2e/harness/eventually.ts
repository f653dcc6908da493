import { setTimeout as delay } from 'node:timers/promises';

/**
 * Repeats a check until it passes; fails with its last error when time is up. (Vitest's `expect.poll` does not work in concurrent
 * tests.) For what gives no event to wait for; a pod's state has `TestNode.podUntil`.
 */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 5000, intervalMs = 50): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(intervalMs);
  }
}
