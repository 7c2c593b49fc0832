// The shapes that the daemon's local API and the commands share, for drills and the synthetic
// agent.

import { z } from "zod";
import { DrillId, DrillKind } from "../cluster/drill.ts";
import { DrillReport, DrillSummary } from "../drill/report.ts";
import { MemberName } from "./work-contract.ts";

export const DrillAsk = z.object({
  kind: DrillKind,
  /** As people type it; absent: the sensible one. */
  server: MemberName.optional(),
});
export type DrillAsk = z.infer<typeof DrillAsk>;

/** What it would mean; asked before it is held. */
export const DrillPlanAnswer = z.object({
  kind: DrillKind,
  server: z.string(),
  driver: z.string(),
  lines: z.array(z.string()),
  /** Why it isn't held now; empty when it may be. */
  refused: z.array(z.string()),
});
export type DrillPlanAnswer = z.infer<typeof DrillPlanAnswer>;

export const DrillStarted = z.object({ id: DrillId, server: z.string() });
export type DrillStarted = z.infer<typeof DrillStarted>;

/** The drill that this member drives now, or drove last. */
export const DrillProgress = z.object({
  /** Absent: none since the daemon's start. */
  id: DrillId.optional(),
  running: z.boolean(),
  lines: z.array(z.string()),
});
export type DrillProgress = z.infer<typeof DrillProgress>;

/** What all servers have, newest first; each keeps those of the drills that it drove. */
export const DrillReports = z.object({
  reports: z.array(DrillSummary),
  /** Servers that can't be asked. */
  missing: z.array(z.string()),
});
export type DrillReports = z.infer<typeof DrillReports>;

export const DrillReportAnswer = z.object({ report: DrillReport });
export type DrillReportAnswer = z.infer<typeof DrillReportAnswer>;

/** One catalog as the synthetic agent of this member got it, or why it got none. */
export const ProbeAnswer = z.object({
  ok: z.boolean(),
  /** Why not; empty when it got one. */
  because: z.string(),
  /** HTTP's status; 0: there was no answer. */
  status: z.int(),
  ms: z.number(),
  /** Where it connected, and as whom. */
  target: z.string(),
  certname: z.string(),
});
export type ProbeAnswer = z.infer<typeof ProbeAnswer>;
