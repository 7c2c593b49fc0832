// Which fault comes next: every kind once before any comes again, in an order that a seed gives.

import type { Random } from "./random.ts";

export interface Turns<K> {
  /** The one that is to be done now. Until it is, it may come again. */
  next(): K;
  done(kind: K): void;
  /** Those that were never done. */
  missing(): K[];
}

export function createTurns<K>(kinds: readonly K[], random: Random): Turns<K> {
  let left: K[] = [];
  const made = new Set<K>();
  return {
    next() {
      if (left.length === 0) left = [...kinds];
      return random.pick(left);
    },
    done(kind) {
      left = left.filter((each) => each !== kind);
      made.add(kind);
    },
    missing: () => kinds.filter((kind) => !made.has(kind)),
  };
}
