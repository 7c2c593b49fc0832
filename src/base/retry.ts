// Waiting with a bound. Every await on a peer goes through a deadline, every loop through a signal.

import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "./fault.ts";

/** A signal that aborts when `parent` does or `ms` have passed, whichever is first. */
export function deadline(ms: number, parent?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  return parent === undefined ? timeout : AbortSignal.any([parent, timeout]);
}

/** Sleeps `ms`, or less when `signal` aborts; never throws. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/**
 * Asks `probe` every `everyMs` until it returns something else than undefined, false or null.
 * Throws Fault `base.deadline` with `what` when `withinMs` have passed or `signal` aborts.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false | null> | T | undefined | false | null,
  options: { withinMs: number; everyMs?: number; signal?: AbortSignal },
): Promise<T> {
  const end = performance.now() + options.withinMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false && answer !== null) return answer;
    if (performance.now() >= end || options.signal?.aborted === true) {
      throw new Fault("base.deadline", `${what}: not within ${options.withinMs} ms`);
    }
    await pause(options.everyMs ?? 100, options.signal);
  }
}
