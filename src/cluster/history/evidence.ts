// What one member can show of what happened: its own entries, and what its loops planned last. It
// needs no etcd.

import { z } from "zod";
import { Act } from "../../base/acts.ts";
import { HistoryEntry } from "./entry.ts";

/** How many of its newest entries a member hands out at once. */
export const EVIDENCE_MAX = 2000;

export const EvidenceWish = z.object({
  sinceMs: z.coerce.number().min(0).default(0),
  untilMs: z.coerce.number().min(0).optional(),
});
export type EvidenceWish = z.infer<typeof EvidenceWish>;

export const Evidence = z.object({
  member: z.string(),
  /** Its clock as it answers. */
  wallMs: z.number(),
  entries: z.array(HistoryEntry),
  /** How many of the time that is asked for were too many. */
  leftOut: z.int().default(0),
  acts: z.array(Act),
});
export type Evidence = z.infer<typeof Evidence>;
