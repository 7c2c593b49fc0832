// What the loops of this daemon come to, for the status and for systemd's watchdog. Pure. A failure
// that the next round mends is no news; a round that never ends would be seen by nobody.

import type { Loop, LoopOutcome } from "../base/loop.ts";
import { warning, type Warning } from "../cluster/warning.ts";

const SECOND_MS = 1000;
/** Longer than any round takes that waits for nothing unusual. */
const SLOW_MS = 90 * SECOND_MS;
/** Longer than the first round of a loop takes. */
const FIRST_ROUND_MS = 60 * SECOND_MS;
/**
 * Every wait inside a round has a deadline; all together they come to less than this, or each part
 * of a round that says that it gets on does.
 */
const HUNG_MS = 900 * SECOND_MS;

/** A loop as it is now. */
export type LoopState = Pick<Loop, "name"> & {
  last: LoopOutcome | undefined;
  /** When the round that runs now began, monotonic ms; undefined between rounds. */
  sinceMs: number | undefined;
  /** When that round last got on, monotonic ms; when it began, if it doesn't say. */
  gotOnMs: number | undefined;
};

export function lookAt(loop: Loop): LoopState {
  const { name } = loop;
  return {
    name,
    last: loop.last(),
    sinceMs: loop.runningSinceMs(),
    gotOnMs: loop.gotOnMs(),
  };
}

/**
 * Loops that keep failing, and rounds that take long. While the record can't be reached, what
 * fails for that reason is left out: it is told once, for the whole member.
 */
export function loopWarnings(
  loops: readonly LoopState[],
  nowMs: number,
  recordReachable: boolean,
): Warning[] {
  return loops.flatMap(({ name, last, sinceMs }) => {
    const warnings: Warning[] = [];
    const add = (text: string) => warnings.push(warning("member-troubled", name, text));
    const because = last?.because ?? "";
    const known = !recordReachable && because.startsWith("etcd.");
    if (last !== undefined && last.failures > 1 && !known) {
      add(`"${name}" keeps failing: ${because}`);
    }
    if (sinceMs !== undefined && nowMs - sinceMs > SLOW_MS) {
      const seconds = Math.round((nowMs - sinceMs) / SECOND_MS);
      add(`"${name}" has been at one round for ${seconds} s`);
    }
    return warnings;
  });
}

/**
 * Whether each of `loops` has ended a round since `startMs`; after a while it counts for those too
 * that haven't.
 */
export function allHaveLooked(
  loops: readonly Pick<Loop, "last">[],
  startMs: number,
): (nowMs: number) => boolean {
  let done = false;
  return (nowMs) => {
    done ||= nowMs - startMs > FIRST_ROUND_MS || loops.every((loop) => loop.last() !== undefined);
    return done;
  };
}

/** Why this daemon should be started anew: a round that will never end. Empty: there is none. */
export function hungLoop(loops: readonly LoopState[], nowMs: number): string {
  const hung = loops.find(({ gotOnMs }) => gotOnMs !== undefined && nowMs - gotOnMs > HUNG_MS);
  return hung === undefined ? "" : `"${hung.name}" has hung for ${HUNG_MS / SECOND_MS} s`;
}
