// One writer for a folder: what comes while it writes is done together in its next round, so that a
// hundred signatures share a few fsyncs. A round that fails is tried again with all that came
// since; only when far too much waits is the rest dropped, and that is told.

import { messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";

const RETRY_MS = 3000;
/** Most jobs that wait; each holds a file of some two kilobytes in memory. */
const JOBS_MAX = 20_000;

export interface QueueState {
  /** How many jobs wait. */
  behind: number;
  /** Why the last round failed; undefined when it didn't. */
  why: string | undefined;
}

export interface Queue<Job> {
  /** Adds jobs; resolves true when they are done, false when their first try failed. */
  add(jobs: readonly Job[]): Promise<boolean>;
  state(): QueueState;
  /** Whether jobs were dropped since it was last asked. */
  takeDropped(): boolean;
  /** Resolves when nothing waits, or a round has failed. */
  idle(): Promise<void>;
}

/** A queue whose rounds are done by `work`, which must be idempotent. `signal` ends its retries. */
export function createQueue<Job>(
  work: (jobs: readonly Job[]) => Promise<void>,
  signal: AbortSignal,
): Queue<Job> {
  const state: { failed?: string | undefined; running?: Promise<void> | undefined } = {};
  let dropped = false;
  let retrying = false;
  let waiting: Job[] = [];
  let asking: ((done: boolean) => void)[] = [];

  const round = async () => {
    const jobs = waiting;
    const askers = asking;
    waiting = [];
    asking = [];
    try {
      await work(jobs);
      state.failed = undefined;
      for (const answer of askers) answer(true);
    } catch (error) {
      state.failed = messageOf(error);
      waiting = [...jobs, ...waiting];
      for (const answer of askers) answer(false);
    }
  };
  const run = async () => {
    while (waiting.length > 0 && state.failed === undefined) await round();
    state.running = undefined;
    if (waiting.length > 0) void retry();
  };
  const start = () => (state.running ??= run());
  const retry = async () => {
    // Whoever adds during a failure begins a run too: one of them tries again for all.
    if (retrying) return;
    retrying = true;
    await pause(RETRY_MS, signal);
    retrying = false;
    if (signal.aborted || state.running !== undefined || waiting.length === 0) return;
    state.failed = undefined;
    await start();
  };
  return {
    add(jobs) {
      if (jobs.length === 0) return Promise.resolve(true);
      if (waiting.length > 0 && waiting.length + jobs.length > JOBS_MAX) {
        dropped = true;
        return Promise.resolve(false);
      }
      waiting.push(...jobs);
      const done = new Promise<boolean>((resolve) => asking.push(resolve));
      // New work is a chance to find the disk well again.
      state.failed = undefined;
      void start();
      return done;
    },
    state: () => ({ behind: waiting.length, why: state.failed }),
    takeDropped() {
      const was = dropped;
      dropped = false;
      return was;
    },
    async idle() {
      while (state.running !== undefined) await state.running;
    },
  };
}
