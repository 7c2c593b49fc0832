// Drills of the mock: one that is held goes on until it is stopped or ended from outside.

import type { LocalDeps } from "../../src/api/local-app.ts";
import { Fault } from "../../src/base/fault.ts";
import { type DrillReport, summarize } from "../../src/drill/report.ts";
import { exampleReport } from "../../src/drill/testing/report.ts";
import type { DrillAsk } from "../../src/setup/drill-contract.ts";

export interface MockDrills {
  commands: LocalDeps["drills"];
  /** Ends the one that runs. */
  end(outcome?: DrillReport["outcome"]): void;
  /** Newest first. */
  reports: DrillReport[];
}

export function createMockDrills(
  basis: LocalDeps["drills"],
  tell: (kind: string, what: string, by: string) => void,
): MockDrills {
  const reports: DrillReport[] = [];
  let running: { ask: DrillAsk; id: string; by: string } | undefined;
  const serverOf = ({ server = "s2.example.com" }: DrillAsk) => server;
  const end = (outcome: DrillReport["outcome"] = "done") => {
    if (running === undefined) return;
    const { ask, id, by } = running;
    const because = outcome === "stopped" ? `${by} stopped it` : "";
    const more = { id, by, kind: ask.kind, server: serverOf(ask), outcome, because };
    reports.unshift(exampleReport({ ...more, driver: "s1.example.com" }));
    running = undefined;
  };
  return {
    reports,
    end,
    commands: {
      ...basis,
      plan: async (ask) => ({
        kind: ask.kind,
        server: serverOf(ask),
        driver: "s1.example.com",
        lines: [`${serverOf(ask)}: it is killed.`],
        refused: running === undefined ? [] : ["another drill is under way"],
      }),
      async begin(ask, by) {
        if (running !== undefined) throw new Fault("drill.refused", "another drill is under way");
        const id = String(reports.length + 1).padStart(12, "0");
        running = { ask, id, by };
        tell("drill", `drill ${ask.kind} at ${serverOf(ask)}`, by);
        return { id, server: serverOf(ask) };
      },
      progress: async () =>
        running === undefined
          ? { running: false, lines: [] }
          : { id: running.id, running: true, lines: ["it measures how things are before"] },
      stop: async () => end("stopped"),
      reports: async () => ({ reports: reports.map(summarize), missing: [] }),
      async report(id) {
        const report = reports.find((each) => each.id === id);
        if (report === undefined) throw new Fault("drill.not-found", `there is no drill ${id}`);
        return { report };
      },
    },
  };
}
