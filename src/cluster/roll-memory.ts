// What whoever drives a roll remembers of the server that it is at, from one look to the next.
// Nothing is lost with it: whoever drives it next is patient anew.

import { type RollRemembered, rollTarget } from "./roll.ts";
import type { Roll } from "./work.ts";

export class RollMemory {
  #of = "";
  #movingSinceMs: number | undefined;
  /** Why the last try of what the roll is for was refused; empty: it wasn't. */
  refused = "";

  /** Forgets what was of another roll, or of another server. */
  turnTo(roll: Roll): void {
    const of = `${roll.key} ${rollTarget(roll) ?? ""}`;
    if (of === this.#of) return;
    this.#of = of;
    this.#movingSinceMs = undefined;
    this.refused = "";
  }

  /** Its addresses are tried to be moved. All times are monotonic milliseconds. */
  moves(nowMs: number): void {
    this.#movingSinceMs ??= nowMs;
  }

  recall(nowMs: number): RollRemembered {
    return { movingMs: nowMs - (this.#movingSinceMs ?? nowMs), refused: this.refused };
  }
}
