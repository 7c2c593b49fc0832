// One writer for a folder: what comes while it writes is done together in its next round, so that a
// hundred signatures share a few fsyncs. A round that fails is tried again; nothing is dropped.

import { messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";

const RETRY_MS = 3000;

export interface Queue<Job> {
  /** Adds jobs; resolves true when they are done, false when their first try failed. */
  add(jobs: readonly Job[]): Promise<boolean>;
  /** How many wait, and why the last round failed; undefined when it didn't. */
  state(): { behind: number; why: string | undefined };
  /** Resolves when nothing waits, or a round has failed. */
  idle(): Promise<void>;
}

/** A queue whose rounds are done by `work`, which must be idempotent. `signal` ends its retries. */
export function createQueue<Job>(
  work: (jobs: readonly Job[]) => Promise<void>,
  signal: AbortSignal,
): Queue<Job> {
  let waiting: Job[] = [];
  let asking: ((done: boolean) => void)[] = [];
  let failed: string | undefined;
  let running: Promise<void> | undefined;

  const round = async () => {
    const jobs = waiting;
    const askers = asking;
    waiting = [];
    asking = [];
    try {
      await work(jobs);
      failed = undefined;
      for (const answer of askers) answer(true);
    } catch (error) {
      failed = messageOf(error);
      waiting = [...jobs, ...waiting];
      for (const answer of askers) answer(false);
    }
  };
  const run = async () => {
    while (waiting.length > 0 && failed === undefined) await round();
    running = undefined;
    if (waiting.length > 0) void retry();
  };
  const start = () => (running ??= run());
  const retry = async () => {
    await pause(RETRY_MS, signal);
    if (signal.aborted || running !== undefined || waiting.length === 0) return;
    failed = undefined;
    await start();
  };
  return {
    add(jobs) {
      if (jobs.length === 0) return Promise.resolve(true);
      waiting.push(...jobs);
      const done = new Promise<boolean>((resolve) => asking.push(resolve));
      // New work is a chance to find the disk well again.
      failed = undefined;
      void start();
      return done;
    },
    state: () => ({ behind: waiting.length, why: failed }),
    async idle() {
      while (running !== undefined) await running;
    },
  };
}
