// What `npm run bench -- NAME` can measure: set-ups that are opened one after the other, and the
// groups of figures that are measured on each.

import type { Group } from "./group.ts";
import type { BareSite } from "./site.ts";

export interface OpenOptions {
  /** Gets lines for people. */
  say: (line: string) => void;
  /** Ends the setting up. */
  signal: AbortSignal;
}

/** A set-up in a lab of its own. */
export interface Stand<S extends BareSite = BareSite> {
  about: string;
  kind: S["kind"];
  /** In the order in which they are measured on it. A group may stand on several. */
  groups: readonly Group<S>[];
  open(options: OpenOptions): Promise<S>;
}

export interface Bench {
  name: string;
  /** One line for --help. */
  about: string;
  /** In the order in which they are opened. */
  stands: readonly Stand[];
}

/** The groups of a bench, each once. */
export function groupsOf({ stands }: Pick<Bench, "stands">): Group<BareSite>[] {
  return [...new Set(stands.flatMap(({ groups }) => groups))];
}

/**
 * What `name` means: a whole bench, or one group of one on those stands that have it. Undefined:
 * nothing.
 */
export function selectStands(benches: readonly Bench[], name: string): Stand[] | undefined {
  const whole = benches.find((bench) => bench.name === name);
  if (whole !== undefined) return [...whole.stands];
  const some = benches.flatMap(({ stands }) =>
    stands.flatMap((stand) => {
      const groups = stand.groups.filter((group) => group.name === name);
      return groups.length === 0 ? [] : [{ ...stand, groups }];
    }),
  );
  return some.length === 0 ? undefined : some;
}
