/** How long to wait for the database: half a minute at start, two seconds for one answer. */

import { setTimeout } from "node:timers/promises";

type Reachable = { ping(): Promise<void>; refuses(error: unknown): boolean };
type Log = { warn(message: string): void };

const PATIENCE_MS = 30_000;
const ANSWER_WITHIN_MS = 2_000;

/** Ask until the database answers; give up at once when it refuses the credentials. */
export async function waitUntilReady(
  database: Reachable,
  log: Log,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pause = 50; ; pause = Math.min(pause * 2, 2_000)) {
    try {
      return await database.ping();
    } catch (error) {
      signal.throwIfAborted();
      if (database.refuses(error) || Date.now() + pause > deadline) throw error;
      log.warn(`The database is not ready, trying again: ${describe(error)}`);
    }
    await setTimeout(pause, undefined, { signal });
  }
}

/** Drivers wait much longer than a probe may: take the answer, or no answer, in time. */
export async function inTime(answer: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const late = setTimeout(ANSWER_WITHIN_MS, undefined, timer).then(() => {
    throw new Error(`no answer within ${ANSWER_WITHIN_MS} ms`);
  });
  try {
    await Promise.race([answer, late]);
  } finally {
    timer.abort();
  }
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An error about several addresses has only a code.
  return error.message || String((error as NodeJS.ErrnoException).code);
}
