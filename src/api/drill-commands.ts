// What the routes of drills need of the daemon. `by`: who asks, as the record keeps it.

import type {
  DrillAsk,
  DrillPlanAnswer,
  DrillProgress,
  DrillReportAnswer,
  DrillReports,
  DrillStarted,
  ProbeAnswer,
} from "../setup/drill-contract.ts";

/** Failures on purpose, and what came of them; only a server has them. */
export interface DrillCommands {
  /** What it would mean; asked before it is held. */
  plan(ask: DrillAsk): Promise<DrillPlanAnswer>;
  /** Begins one, and doesn't wait for its end: it goes on without whoever asked. */
  begin(ask: DrillAsk, by: string): Promise<DrillStarted>;
  progress(): DrillProgress;
  /** Ends the one that is driven here, and undoes what it did. */
  stop(by: string): void;
  reports(): Promise<DrillReports>;
  report(id: string): Promise<DrillReportAnswer>;
  /** Asks for one catalog as an agent would. */
  probe(): Promise<ProbeAnswer>;
}
