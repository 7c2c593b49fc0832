// What isn't to be brought: what is of a node that was deleted since; and what was brought already
// and may not become level: PuppetDB takes some commands and keeps nothing
// of them. Remembered until it has started anew, so that nothing goes round for ever.

import type { Item } from "./plan.ts";

/** Tries of one whose outcome PuppetDB didn't tell. */
const TRIES_MAX = 2;
/** Remembered at most; the oldest is forgotten first, and then tried once more. */
const TRIED_MAX = 100_000;

export interface TriedMemory {
  /** Why `item` isn't tried once more; undefined: it may be. */
  of(item: Item): string | undefined;
  /** It was sent; `because`: why PuppetDB doesn't have it now, where it doesn't. */
  note(item: Item, outcome: { final: boolean; because: string }): void;
  forget(): void;
}

export function createTriedMemory(
  deletedAt: (certname: string) => number | undefined,
): TriedMemory {
  const known = new Map<string, { ms: number; tries: number; final: boolean; because: string }>();
  return {
    of(item) {
      if (item.ms <= (deletedAt(item.certname) ?? -Infinity)) return "its node was deleted since";
      const before = known.get(keyOf(item));
      if (before === undefined || before.ms !== item.ms) return undefined;
      return before.final || before.tries >= TRIES_MAX ? before.because : undefined;
    },
    note(item, { final, because }) {
      const key = keyOf(item);
      const before = known.get(key);
      const tries = before?.ms === item.ms ? before.tries + 1 : 1;
      known.delete(key);
      known.set(key, { ms: item.ms, tries, final, because });
      const [oldest] = known.keys();
      if (known.size > TRIED_MAX && oldest !== undefined) known.delete(oldest);
    },
    forget: () => known.clear(),
  };
}

function keyOf({ kind, certname, hash = "" }: Item): string {
  return `${kind} ${hash === "" ? certname : hash}`;
}
