import { setTimeout as wait } from 'node:timers/promises';

/**
 * Asks `question` again and again until it answers something else than undefined, false or null, and gives that answer.
 * For conditions of the world outside that tell nobody when they come true. What the question throws ends the wait.
 */
export async function until<T>(what: string, question: () => T | Promise<T>, timeoutMs = 10_000, everyMs = 20): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (Date.now() >= deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await wait(everyMs);
  }
}
