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

/** The drill that this member drives, or drove last. */
export interface OwnDrill {
  progress(): DrillProgress;
  /** Ends it, and undoes what it did. */
  stop(by: string): void;
}

/** Failures on purpose, and what came of them; only a server has them. */
export interface DrillCommands {
  /** What it would mean; asked before it is held. */
  plan(ask: DrillAsk): Promise<DrillPlanAnswer>;
  /** Begins one, and doesn't wait for its end: it goes on without whoever asked. */
  begin(ask: DrillAsk, by: string): Promise<DrillStarted>;
  own: OwnDrill;
  /** The one under way, whoever drives it; else the last one of this member. */
  progress(): Promise<DrillProgress>;
  /** Ends the one under way, whoever drives it. None is no error. */
  stop(by: string): Promise<void>;
  reports(): Promise<DrillReports>;
  report(id: string): Promise<DrillReportAnswer>;
  /** Asks for one catalog as an agent would. */
  probe(): Promise<ProbeAnswer>;
}
