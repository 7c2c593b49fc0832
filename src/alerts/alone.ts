// Without quorum, or with an alarm of etcd's, nothing can be written down, so no leader tells of
// it: the first by name of the servers that still answer does, once. Pure. A part of the cluster
// that is cut off from the rest tells for itself; whoever heard that another has told says nothing,
// also when that one dies.

/** How long nobody must have been able to write before that is told, and be able before that is. */
export const ALONE_MS = 60_000;

export interface Alone {
  /** Since when it has been as it is, monotonic; undefined: not looked at yet. */
  sinceMs: number | undefined;
  missing: boolean;
  /** Whether this server has told that nobody can write. */
  told: boolean;
  /** Whether another that answered has. */
  heard: boolean;
}
export const NOT_ALONE: Alone = { sinceMs: undefined, missing: false, told: false, heard: false };

export interface Sight {
  self: string;
  /** Whether the record takes changes. */
  writable: boolean;
  /** Servers that answer, this one among them, and whether each has told. */
  answering: readonly { id: string; told: boolean }[];
  atMs: number;
}

/** What is so now, and what this server is to tell. */
export function decideAlone(before: Alone, sight: Sight): { now: Alone; tell?: "lost" | "back" } {
  const missing = !sight.writable;
  const changed = before.sinceMs === undefined || before.missing !== missing;
  const sinceMs = changed ? sight.atMs : (before.sinceMs ?? sight.atMs);
  const others = sight.answering.filter(({ id }) => id !== sight.self);
  const heard = missing ? before.heard || others.some(({ told }) => told) : before.heard;
  const now = { ...before, sinceMs, missing, heard };
  if (sight.atMs - sinceMs < ALONE_MS) return { now };
  if (!missing) {
    const over = { ...now, told: false, heard: false };
    return before.told ? { now: over, tell: "back" } : { now: over };
  }
  const isFirst = others.every(({ id }) => sight.self < id);
  if (now.told || heard || !isFirst) return { now };
  return { now: { ...now, told: true }, tell: "lost" };
}
