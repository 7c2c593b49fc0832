// What whoever drives a roll remembers of the server that it is at, from one look to the next.
// Nothing is lost with it: whoever drives it next is patient anew.

import { type RollRemembered, rollTarget } from "./roll.ts";
import type { Roll } from "./work.ts";

export class RollMemory {
  #of = "";
  #lackingSinceMs: number | undefined;
  #movingSinceMs: number | undefined;
  /** Why the last try of what the roll is for was refused; empty: it wasn't. */
  refused = "";

  /** Forgets what was of another roll, or of another server; undefined: it drives none now. */
  turnTo(roll: Roll | undefined): void {
    const of = roll === undefined ? "" : `${roll.key} ${rollTarget(roll) ?? ""}`;
    if (of === this.#of) return;
    this.#of = of;
    this.#lackingSinceMs = this.#movingSinceMs = undefined;
    this.refused = "";
  }

  /** What a look found. All times are monotonic milliseconds. */
  looked(lacks: boolean, nowMs: number): void {
    this.#lackingSinceMs = lacks ? (this.#lackingSinceMs ?? nowMs) : undefined;
  }

  /** Its addresses are tried to be moved. */
  moves(nowMs: number): void {
    this.#movingSinceMs ??= nowMs;
  }

  recall(nowMs: number): RollRemembered {
    const since = (sinceMs: number | undefined) => nowMs - (sinceMs ?? nowMs);
    return {
      lackingMs: since(this.#lackingSinceMs),
      movingMs: since(this.#movingSinceMs),
      refused: this.refused,
    };
  }
}
