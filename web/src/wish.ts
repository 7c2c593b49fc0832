// What somebody wishes of the settings, while others change them. Pure.

export type Wish = Readonly<Record<string, unknown>>;

/** `theirs` with all that `mine` changes of what both began with, `base`. */
export function overTheirs({ base, mine, theirs }: Record<"base" | "mine" | "theirs", Wish>): Wish {
  const keys = new Set([...Object.keys(base), ...Object.keys(mine)]);
  const changed = [...keys].filter((key) => textOf(base[key]) !== textOf(mine[key]));
  const kept = Object.entries(theirs).filter(([key]) => !changed.includes(key));
  // What is left out of mine is wished as it is by default.
  const own = changed.flatMap((key) =>
    mine[key] === undefined ? [] : [[key, mine[key]] as const],
  );
  return Object.fromEntries([...kept, ...own]);
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? "";
}
