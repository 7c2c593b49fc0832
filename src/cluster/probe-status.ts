// What a member's synthetic agent has measured, and what of it is to be looked at. Pure.

import { z } from "zod";
import type { MemberAnswer } from "./status.ts";

/** The window of the measure: some hours at a catalog every minute. */
export const PROBES_KEPT = 240;

/** One member's synthetic agent; it is there where the cluster is set to probe. */
export const ProbeStatus = z.object({
  /** When it asked last; empty: it hasn't yet. */
  at: z.string(),
  ok: z.boolean(),
  /** Why the last one failed. */
  because: z.string(),
  /** How long the last one took, milliseconds. */
  ms: z.number(),
  /** Since the daemon started. */
  total: z.int(),
  failed: z.int(),
  /** Of the last PROBES_KEPT. */
  lately: z.object({ total: z.int(), failed: z.int(), medianMs: z.number() }),
});
export type ProbeStatus = z.infer<typeof ProbeStatus>;

/** What has been measured so far. */
export interface Measured {
  total: number;
  failed: number;
  last: { atMs: number; ok: boolean; because: string; ms: number }[];
}

export const NOTHING_MEASURED: Measured = { total: 0, failed: 0, last: [] };

/** `measured` with one more. */
export function withProbe(measured: Measured, probe: Measured["last"][number]): Measured {
  return {
    total: measured.total + 1,
    failed: measured.failed + (probe.ok ? 0 : 1),
    last: [...measured.last, probe].slice(-PROBES_KEPT),
  };
}

export function describeMeasured({ total, failed, last }: Measured): ProbeStatus {
  const newest = last.at(-1);
  const took = last.filter(({ ok }) => ok).map(({ ms }) => ms);
  const sorted = took.toSorted((a, b) => a - b);
  return {
    at: newest === undefined ? "" : new Date(newest.atMs).toISOString(),
    ok: newest?.ok ?? true,
    because: newest?.because ?? "",
    ms: Math.round(newest?.ms ?? 0),
    total,
    failed,
    lately: {
      total: last.length,
      failed: last.length - took.length,
      medianMs: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
    },
  };
}

/** What all of them measured of late; nothing where none does. */
export function probeNotes(members: readonly MemberAnswer[]): string[] {
  const probes = members.flatMap(({ local }) => local?.probe ?? []);
  const total = probes.reduce((sum, { lately }) => sum + lately.total, 0);
  if (total === 0) return [];
  const failed = probes.reduce((sum, { lately }) => sum + lately.failed, 0);
  const slowest = Math.max(...probes.map(({ lately }) => lately.medianMs));
  return [
    `Synthetic agents asked for ${total} catalogs of late, ${failed} failed; the median took ${slowest} ms at most.`,
  ];
}

/** What is to be looked at: two in a row, as one may be a hiccup of the network. */
export function probeWarnings({ last }: Measured): string[] {
  const [before, newest] = last.slice(-2);
  if (before === undefined || newest === undefined || before.ok || newest.ok) return [];
  return [`its synthetic agent gets no catalog: ${newest.because}`];
}
