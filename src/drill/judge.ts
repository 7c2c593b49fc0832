// From what was measured to the figures of a drill. Pure. Danger: a driver that is busy is late
// itself, so an attempt counts by when it really began, and a gap needs an attempt that failed.

import { findGaps } from "./gaps.ts";
import type { Sample, Samples } from "./samples.ts";

/** A catalog that took so much longer than the slowest before is slow. */
const SLOW_TIMES = 2;
const SLOW_MS = 500;
/** Reasons that are named at most. */
const REASONS_MAX = 10;

/** One kind of attempts. */
export interface Tally {
  count: number;
  failed: number;
  medianMs: number;
  slowestMs: number;
}

export interface Figures {
  connects: Tally;
  catalogs: Tally;
  kept: Tally;
  /** Before anything was done: what is usual. */
  steady: { connects: Tally; catalogs: Tally };
  /** From the act until something of it was seen; absent: nothing was. */
  detectedMs?: number;
  detectedBy?: string;
  /** The longest time in which no new connection was made, 0: none failed. */
  outageMs: number;
  /** All such times. */
  outages: { fromMs: number; ms: number }[];
  /** From the act until a new connection was made after the first that failed. */
  takeoverMs?: number;
  /** How often the connection that is kept had to be made anew. */
  broken: number;
  replays: number;
  /** Why attempts failed, each once, with how many. */
  reasons: { because: string; count: number }[];
}

/** Catalogs that an agent would have lacked, by new connections and by the kept one. */
export function failedCatalogs({ catalogs, kept }: Pick<Figures, "catalogs" | "kept">): number {
  return catalogs.failed + kept.failed;
}

/** The figures; `actMs`: when it was done, of the same clock as the samples. */
export function judgeSamples(samples: Samples, actMs: number): Figures {
  const { connects, catalogs, kept, replays } = samples;
  const isBefore = ({ endMs }: Sample) => endMs < actMs;
  const steady = {
    connects: tally(connects.filter(isBefore)),
    catalogs: tally(catalogs.filter(isBefore)),
  };
  // Drills are judged by what came of the act: what failed before is in `steady`.
  const after = (list: readonly Sample[]) => list.filter((each) => !isBefore(each));
  const gaps = findGaps(connects).filter(({ toMs = Infinity }) => toMs > actMs);
  const outages = gaps.map(({ fromMs, ms }) => ({ fromMs, ms: Math.round(ms) }));
  const seen = firstSeen(samples, actMs, steady.catalogs.slowestMs);
  const took = gaps.find(({ toMs }) => toMs !== undefined)?.toMs;
  return {
    connects: tally(after(connects)),
    catalogs: tally(after(catalogs)),
    kept: tally(after(kept)),
    steady,
    ...(seen && { detectedMs: Math.max(0, Math.round(seen.atMs - actMs)), detectedBy: seen.what }),
    outageMs: outages.reduce((longest, { ms }) => Math.max(longest, ms), 0),
    outages: outages.slice(0, 100),
    ...(took !== undefined && { takeoverMs: Math.max(0, Math.round(took - actMs)) }),
    broken: countBreaks(kept, actMs),
    replays,
    reasons: reasonsOf([...after(connects), ...after(catalogs), ...after(kept)]),
  };
}

/** What was seen of the act first: an attempt that failed, a slow catalog, or a server's word. */
function firstSeen(
  { connects, catalogs, kept, sightings }: Samples,
  actMs: number,
  usualMs: number,
) {
  const slowMs = usualMs * SLOW_TIMES + SLOW_MS;
  const failures = [...connects, ...catalogs, ...kept].filter((each) => !each.ok);
  const slow = catalogs.filter(({ ok, startMs, endMs }) => ok && endMs - startMs > slowMs);
  return [
    ...failures.map(({ endMs, because }) => ({ atMs: endMs, what: because })),
    ...slow.map(({ startMs }) => ({ atMs: startMs + slowMs, what: "a slow catalog" })),
    ...sightings,
  ]
    .filter(({ atMs }) => atMs >= actMs)
    .toSorted((a, b) => a.atMs - b.atMs)[0];
}

/**
 * Where answers come by another connection than before, the kept one has broken in between, unless
 * the answer before ended it.
 */
function countBreaks(kept: readonly Sample[], actMs: number): number {
  const answered = kept.filter(({ port }) => port !== undefined);
  return answered.filter(({ port, endMs }, index) => {
    const before = answered[index - 1];
    const isSame = before === undefined || before.isLast === true || before.port === port;
    return endMs >= actMs && !isSame;
  }).length;
}

function tally(samples: readonly Sample[]): Tally {
  const took = samples
    .filter(({ ok }) => ok)
    .map(({ startMs, endMs }) => endMs - startMs)
    .toSorted((a, b) => a - b);
  return {
    count: samples.length,
    failed: samples.length - took.length,
    medianMs: round(took[Math.floor(took.length / 2)] ?? 0),
    slowestMs: round(took.at(-1) ?? 0),
  };
}

function reasonsOf(samples: readonly Sample[]): Figures["reasons"] {
  const counts = new Map<string, number>();
  for (const { ok, because } of samples) {
    if (!ok) counts.set(because, (counts.get(because) ?? 0) + 1);
  }
  return [...counts]
    .map(([because, count]) => ({ because, count }))
    .toSorted((a, b) => b.count - a.count)
    .slice(0, REASONS_MAX);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
