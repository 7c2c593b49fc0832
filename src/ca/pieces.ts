// Long work in pieces: requests and timers have their turn in between, and work that nobody waits
// for stands back while somebody does.

import { setImmediate } from "node:timers/promises";
import { monotonicMs } from "../host/clock.ts";

/** How long others have to wait for a piece that somebody else waits for, milliseconds. */
const PIECE_MS = 5;
/**
 * For one of what can wait. A long answer is sent in some hundred turns, so a list that is done
 * would come this many times as late.
 */
const BACKGROUND_PIECE_MS = 1;

/** To be awaited between two small steps: lets others have their turn when a piece is over. */
export type Next = () => Promise<void> | undefined;

/** Foreground works that are running. */
let running = 0;

/** Does what somebody waits for. */
export async function inForeground<T>(work: (next: Next) => Promise<T>): Promise<T> {
  running += 1;
  try {
    return await work(createNext(PIECE_MS, () => false));
  } finally {
    running -= 1;
  }
}

/** Does what can wait. */
export async function inBackground<T>(work: (next: Next) => Promise<T>): Promise<T> {
  return work(createNext(BACKGROUND_PIECE_MS, () => running > 0));
}

/**
 * For many works of which each is short: each awaits its turn first, and between two of them all
 * else has its own.
 */
export function createTurns(): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(() => setImmediate());
    return last;
  };
}

function createNext(pieceMs: number, mustWait: () => boolean): Next {
  let endMs = monotonicMs() + pieceMs;
  const rest = async () => {
    do await setImmediate();
    while (mustWait());
    endMs = monotonicMs() + pieceMs;
  };
  return () => (monotonicMs() < endMs ? undefined : rest());
}
