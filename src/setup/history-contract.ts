// What is asked and answered of what happened, in the shapes of the local API.

import { z } from "zod";
import { ENTRIES_MAX, HistoryEntry, StageValue } from "../cluster/history/entry.ts";
import { LINES_MAX } from "../cluster/history/incident.ts";

/** Which part of the history is asked for; what is left out doesn't matter. */
export const HistoryWish = z.object({
  sinceMs: z.coerce.number().int().min(0).optional(),
  untilMs: z.coerce.number().int().min(0).optional(),
  /** Kinds, parted by commas. */
  kinds: z.string().max(1000).optional(),
  /** The newest so many. */
  limit: z.coerce.number().int().min(1).max(ENTRIES_MAX).default(100),
});
export type HistoryWish = z.infer<typeof HistoryWish>;

export const HistoryAnswer = z.object({
  entries: z.array(HistoryEntry),
  /** How many older ones there would be. */
  more: z.int(),
  /** Why these are only what this member has told; empty: they are the cluster's. */
  because: z.string(),
});
export type HistoryAnswer = z.infer<typeof HistoryAnswer>;

/** What is to be explained: a topic, or a member. */
export const WhyWish = z.object({ about: z.string().min(1).max(253).default("not-ready") });

/** Of which time a timeline is asked for. */
export const IncidentWish = z.object({
  /** Absent: an hour ago. */
  sinceMs: z.coerce.number().int().min(0).optional(),
  untilMs: z.coerce.number().int().min(0).optional(),
  /** The newest so many lines. */
  limit: z.coerce.number().int().min(1).max(LINES_MAX).default(LINES_MAX),
});
export type IncidentWish = z.infer<typeof IncidentWish>;

/** What the steps of a setup took. */
export const FinishWish = z.object({ stages: z.array(StageValue).max(100).default([]) });
export type FinishWish = z.infer<typeof FinishWish>;
