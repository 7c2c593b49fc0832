// What the routes of alerts need of the daemon.

import type {
  AlertsShown,
  AlertTest,
  AlertTested,
  ChannelWish,
  FailedRunsWish,
} from "../setup/alerts-contract.ts";

/** Where alerts go, and what is raised. */
export interface AlertCommands {
  show(): Promise<AlertsShown>;
  /** One of the same name is replaced. */
  add(wish: ChannelWish): Promise<AlertsShown>;
  remove(name: string): Promise<AlertsShown>;
  /** Sends a test to each, and says what came of it. */
  test(wish: AlertTest): Promise<AlertTested>;
  failedRuns(wish: FailedRunsWish): Promise<AlertsShown>;
}
