// Whether etcd's history is the one that a copy of the record was made of: it has the very change
// that the copy ends with. Histories are only ever added to, so what came before is the same too.

import { isFault } from "../base/fault.ts";
import type { CallOptions, Etcd } from "../etcd/types.ts";
import type { JournalEvent } from "./journal.ts";

/** `unknown`: that part of the history is no longer kept. */
export type Found = "there" | "other" | "unknown";

/** Looks for the change `event`, at the revision that it says. Throws Fault `etcd.…`. */
export async function findChange(
  etcd: Etcd,
  { key, value, revision }: JournalEvent,
  options: CallOptions,
): Promise<Found> {
  const at = async (when: number) => {
    const past = { ...options, revision: when, limit: 1 };
    // The key itself comes first of all that begin with it.
    const { kvs } = await etcd.range(key, past);
    return kvs.find((kv) => kv.key === key);
  };
  try {
    const then = await at(revision);
    if (value !== null) {
      return then?.modRevision === revision && then.value === value ? "there" : "other";
    }
    // It was there until then: a key that nobody ever wrote is absent at every revision.
    return then === undefined && (await at(revision - 1)) !== undefined ? "there" : "other";
  } catch (error) {
    if (isFault(error, "etcd.compacted")) return "unknown";
    throw error;
  }
}
