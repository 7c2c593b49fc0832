// What a courier says of the sync of its server's PuppetDB with the others.

import { z } from "zod";
import { renderDuration } from "../base/duration.ts";

/** One comparison, and what it brought. */
export const SyncRound = z.object({
  id: z.string(),
  by: z.enum(["start", "timer", "hand"]),
  startedAt: z.string(),
  endedAt: z.string(),
  /** Whether everything was compared with every other PuppetDB that answers, and brought. */
  ok: z.boolean(),
  because: z.string(),
  /** By kind, what was brought. */
  moved: z.record(z.string(), z.int()),
  /** What differs and stays so; the first ones. */
  left: z.int(),
  leftAlone: z.array(z.object({ kind: z.string(), certname: z.string(), because: z.string() })),
  /** The other PuppetDBs; `because`: why one wasn't compared. */
  others: z.array(z.object({ id: z.string(), because: z.string() })),
});
export type SyncRound = z.infer<typeof SyncRound>;

export const SyncStatus = z.object({
  /**
   * `level`: it has all nodes that the others have, since it was last down; `lacks`: some are
   * missing; `unknown`: it isn't compared yet.
   */
  standing: z.enum(["unknown", "lacks", "level"]),
  /** Why it may not answer queries for this; empty: it may. */
  because: z.string(),
  /** The round that runs, or is to run. */
  running: z.object({ id: z.string(), what: z.string(), done: z.int(), of: z.int() }).optional(),
  last: SyncRound.optional(),
});
export type SyncStatus = z.infer<typeof SyncStatus>;

/** What a round moved, for people: "3 catalogs, 12 reports"; "nothing". */
export function renderMoved(moved: SyncRound["moved"]): string {
  const parts = Object.entries(moved).flatMap(([kind, count]) =>
    count === 0 ? [] : [`${count} ${PLURALS[kind]?.[count === 1 ? 0 : 1] ?? kind}`],
  );
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

const PLURALS: Record<string, [string, string]> = {
  catalog: ["catalog", "catalogs"],
  facts: ["factset", "factsets"],
  inputs: ["catalog's inputs", "catalogs' inputs"],
  report: ["report", "reports"],
  deactivation: ["deactivation", "deactivations"],
  revival: ["expired node", "expired nodes"],
};

/** The sync of one PuppetDB in a line: what runs, or how the last one ended. */
export function renderSync({ running, last }: SyncStatus, nowMs: number): string {
  if (running !== undefined) return `${running.what} ${running.done} of ${running.of}`;
  if (last === undefined) return "not yet";
  const ago = renderDuration((nowMs - Date.parse(last.endedAt)) / 1000);
  if (!last.ok) return `${ago} ago, not whole: ${last.because}`;
  const left = last.left === 0 ? "" : `, ${last.left} left alone`;
  return `${ago} ago: ${renderMoved(last.moved)}${left}`;
}

/** What differs between PuppetDBs. */
export const PuppetdbDiff = z.object({
  /** Those that were compared. */
  compared: z.array(z.string()),
  /** Those that weren't, and why. */
  missing: z.array(z.object({ id: z.string(), because: z.string() })),
  /** The first ones; `total`: all. */
  rows: z.array(
    z.object({
      certname: z.string(),
      kind: z.string(),
      /** By PuppetDB, what it has in words: a time, a number of reports; absent: nothing. */
      has: z.record(z.string(), z.string()),
    }),
  ),
  total: z.int(),
});
export type PuppetdbDiff = z.infer<typeof PuppetdbDiff>;
