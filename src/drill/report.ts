// The report of a drill: what was done, what was measured, what is left. Everything in it is
// bounded, whatever went on. Its texts come from anywhere: who shows them escapes them.

import { z } from "zod";
import { DrillId, DrillKind } from "../cluster/drill.ts";
import { failedCatalogs, type Figures } from "./judge.ts";
import type { Sample, Samples } from "./samples.ts";

/** The chart's columns: so long each at least, and so many at most. */
const BIN_MS_MIN = 100;
const BINS_MAX = 600;
const CATALOGS_MAX = 3000;
const SIGHTINGS_MAX = 200;
const TEXT_MAX = 300;

const Text = z.string().max(TEXT_MAX);
const Tally = z.object({
  count: z.int(),
  failed: z.int(),
  medianMs: z.number(),
  slowestMs: z.number(),
});

export const FiguresShape = z.object({
  connects: Tally,
  catalogs: Tally,
  kept: Tally,
  steady: z.object({ connects: Tally, catalogs: Tally }),
  detectedMs: z.number().optional(),
  detectedBy: Text.optional(),
  outageMs: z.number(),
  outages: z.array(z.object({ fromMs: z.number(), ms: z.number() })).max(100),
  takeoverMs: z.number().optional(),
  broken: z.int(),
  replays: z.int(),
  reasons: z.array(z.object({ because: Text, count: z.int() })).max(10),
});

/** How it ended. */
export const DrillOutcome = z.enum(["done", "stopped", "failed"]);

export const DrillReport = z.object({
  format: z.literal(1),
  id: DrillId,
  kind: DrillKind,
  server: z.string().max(253),
  driver: z.string().max(253),
  by: z.string().max(120),
  outcome: DrillOutcome,
  /** Why it was stopped or failed; empty when it went through. */
  because: Text,
  /** When it began, when it was done to the server, when it was over; ms since the epoch. */
  startMs: z.number(),
  actMs: z.number().optional(),
  endMs: z.number(),
  /** Where the synthetic agent connects to. */
  target: z.string().max(300),
  figures: FiguresShape.optional(),
  /** What went on, in order. */
  steps: z.array(z.object({ atMs: z.number(), what: Text })).max(SIGHTINGS_MAX * 2),
  /** What is worse than before; empty: the cluster is as it was. */
  left: z.array(Text).max(50),
  /** For the chart. */
  binMs: z.number(),
  bins: z
    .array(z.object({ atMs: z.number(), count: z.int(), failed: z.int(), slowestMs: z.number() }))
    .max(BINS_MAX + 1),
  catalogs: z
    .array(z.object({ atMs: z.number(), ms: z.number(), ok: z.boolean(), kept: z.boolean() }))
    .max(CATALOGS_MAX),
});
export type DrillReport = z.infer<typeof DrillReport>;

/** What a list of reports shows of one. */
export const DrillSummary = DrillReport.pick({
  id: true,
  kind: true,
  server: true,
  driver: true,
  by: true,
  outcome: true,
  because: true,
  startMs: true,
  endMs: true,
}).extend({ outageMs: z.number().optional(), failedCatalogs: z.int().optional(), left: z.int() });
export type DrillSummary = z.infer<typeof DrillSummary>;

/** The reports that a server has of the drills that it drove. */
export const OwnReports = z.object({ reports: z.array(DrillSummary) });
/** One of them; absent: it isn't there. */
export const OwnReport = z.object({ report: DrillReport.optional() });

export function summarize(report: DrillReport): DrillSummary {
  const { id, kind, server, driver, by, outcome, because, startMs, endMs, figures } = report;
  return {
    id,
    kind,
    server,
    driver,
    by,
    outcome,
    because,
    startMs,
    endMs,
    ...(figures && { outageMs: figures.outageMs, failedCatalogs: failedCatalogs(figures) }),
    left: report.left.length,
  };
}

/** What is known when a drill is over. */
export type Told = Omit<
  DrillReport,
  "format" | "figures" | "binMs" | "bins" | "catalogs" | "steps" | "left"
> & {
  figures: Figures | undefined;
  steps: { atMs: number; what: string }[];
  left: string[];
  samples: Samples;
};

/** The report, with everything cut to its bounds. */
export function makeReport(told: Told): DrillReport {
  const { samples, figures, ...rest } = told;
  const { binMs, bins } = binsOf(samples.connects, told.startMs, told.endMs);
  const point = (kept: boolean) => (sample: Sample) => ({
    atMs: sample.startMs,
    ms: Math.round(sample.endMs - sample.startMs),
    ok: sample.ok,
    kept,
  });
  const catalogs = [...samples.catalogs.map(point(false)), ...samples.kept.map(point(true))];
  const sightings = samples.sightings.slice(0, SIGHTINGS_MAX);
  const steps = [...told.steps.slice(0, SIGHTINGS_MAX), ...sightings].toSorted(
    (a, b) => a.atMs - b.atMs,
  );
  return {
    ...rest,
    format: 1,
    because: cut(told.because),
    ...(figures && { figures: cutFigures(figures) }),
    steps: steps.map(({ atMs, what }) => ({ atMs, what: cut(what) })),
    left: told.left.slice(0, 50).map(cut),
    binMs,
    bins,
    catalogs: catalogs.toSorted((a, b) => a.atMs - b.atMs).slice(0, CATALOGS_MAX),
  };
}

/** Connections counted in columns of the same width. */
export function binsOf(
  connects: readonly Sample[],
  startMs: number,
  endMs: number,
): Pick<DrillReport, "binMs" | "bins"> {
  const binMs = Math.max(BIN_MS_MIN, Math.ceil((endMs - startMs) / BINS_MAX));
  const bins = new Map<number, DrillReport["bins"][number]>();
  for (const each of connects) {
    const index = Math.floor((each.startMs - startMs) / binMs);
    if (index < 0 || index > BINS_MAX) continue;
    const fresh = { atMs: startMs + index * binMs, count: 0, failed: 0, slowestMs: 0 };
    const bin = bins.get(index) ?? fresh;
    bin.count += 1;
    if (each.ok) bin.slowestMs = Math.max(bin.slowestMs, Math.round(each.endMs - each.startMs));
    else bin.failed += 1;
    bins.set(index, bin);
  }
  const sorted = [...bins].toSorted(([a], [b]) => a - b);
  return { binMs, bins: sorted.map(([, bin]) => bin) };
}

function cutFigures(figures: Figures): DrillReport["figures"] {
  const { detectedBy, reasons } = figures;
  return {
    ...figures,
    ...(detectedBy !== undefined && { detectedBy: cut(detectedBy) }),
    reasons: reasons.map(({ because, count }) => ({ because: cut(because), count })),
  };
}

function cut(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1)}…` : text;
}
