// What a newer version has put into a value of the record, carried through a change by this one.
// Pure. The idea: a schema leaves out what it doesn't know, so what the record has beyond what was
// read is put back where it was: by key in objects, by id or name in lists.

type Json = Record<string, unknown>;

/**
 * `after` as the record is to have it: with what `raw` has and `seen`, which this version read of
 * it, lacks. What `after` has no more goes with all that was in it. Keys stay in `raw`'s order, so
 * that a change of nothing is the same text.
 */
export function withForeign(raw: unknown, seen: unknown, after: unknown): unknown {
  if (Array.isArray(raw) && Array.isArray(seen) && Array.isArray(after)) {
    return after.map((each: unknown) => {
      const at = findSame(seen, each);
      return at < 0 ? each : withForeign(raw[at], seen[at], each);
    });
  }
  if (!isObject(raw) || !isObject(seen) || !isObject(after)) return after;
  const kept = Object.keys(raw).flatMap((key): [string, unknown][] => {
    if (Object.hasOwn(after, key)) return [[key, withForeign(raw[key], seen[key], after[key])]];
    return Object.hasOwn(seen, key) ? [] : [[key, raw[key]]];
  });
  const added = Object.entries(after).filter(([key]) => !Object.hasOwn(raw, key));
  return Object.fromEntries([...kept, ...added]);
}

/** Where `one` was in a list before; -1: it is new. */
function findSame(list: readonly unknown[], one: unknown): number {
  const own = nameOf(one);
  return list.findIndex((each) => nameOf(each) === own);
}

function nameOf(value: unknown): string {
  const { id, name } = isObject(value) ? value : {};
  if (typeof id === "string") return `id ${id}`;
  return typeof name === "string" ? `name ${name}` : JSON.stringify(value);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
