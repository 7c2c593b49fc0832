// A drill as it might have been, for tests of what shows reports.

import { judgeSamples } from "../judge.ts";
import { type DrillReport, makeReport, type Told } from "../report.ts";
import type { Sample, Samples } from "../samples.ts";

export const START_MS = Date.parse("2026-12-01T10:00:00Z");
export const ACT_MS = START_MS + 5000;

/** An attempt that began so long after the start. */
export function sample(afterMs: number, tookMs: number, because = ""): Sample {
  const startMs = START_MS + afterMs;
  return { startMs, endMs: startMs + tookMs, ok: because === "", because };
}

/** Ten seconds of attempts, of which those from 5.1 s to 5.5 s were refused. */
export function exampleSamples(): Samples {
  const connects = Array.from({ length: 100 }, (_, index) => {
    const atMs = index * 100;
    return atMs >= 5100 && atMs < 5500 ? sample(atMs, 1, "ECONNREFUSED") : sample(atMs, 2);
  });
  const catalogs = Array.from({ length: 10 }, (_, index) => sample(index * 1000, 90));
  const kept = [
    ...catalogs.slice(0, 5).map((each) => ({ ...each, port: 40_001 })),
    sample(5200, 5, "ECONNRESET"),
    { ...sample(6000, 95), port: 40_002 },
  ];
  const sightings = [{ atMs: START_MS + 5300, what: "s1 holds no address" }];
  return { connects, catalogs, kept, sightings, replays: 2 };
}

export function exampleReport(more: Partial<Told> = {}): DrillReport {
  const samples = exampleSamples();
  return makeReport({
    id: "0123456789ab",
    kind: "edge-kill",
    server: "s1.test",
    driver: "s2.test",
    by: "ops",
    outcome: "done",
    because: "",
    startMs: START_MS,
    actMs: ACT_MS,
    endMs: START_MS + 10_000,
    target: "10.0.0.10:8140",
    figures: judgeSamples(samples, ACT_MS),
    steps: [{ atMs: ACT_MS, what: "s1.test: its HAProxy is killed" }],
    left: [],
    samples,
    ...more,
  });
}
