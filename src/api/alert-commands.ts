// What the routes of alerts and hooks need of the daemon.

import type {
  AlertsShown,
  AlertTest,
  AlertTested,
  ChannelWish,
  FailedRunsWish,
  HookList,
  HooksTest,
  HooksTested,
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

/** Executables of this server that are run on events. */
export interface HookCommands {
  list(): Promise<HookList>;
  /** Runs them on an event that says that it is a test. */
  test(wish: HooksTest): Promise<HooksTested>;
}
