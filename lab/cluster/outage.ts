// What a disturbance cost: which runs failed because of it, and which of them nothing could have
// saved. Pure.

import type { AgentRun } from "../agents.ts";

/** What judging needs of a run. */
export type Run = Pick<
  AgentRun,
  "agent" | "ok" | "hung" | "startedAt" | "endedAt" | "ms" | "because"
>;

/** Times in ms since the epoch. */
export interface Span {
  fromMs: number;
  toMs: number;
}

export interface CutOutcome {
  /** Runs that ended after the cut, within the span. */
  runs: Run[];
  /** Those that failed, hung ones included. */
  failed: Run[];
  hung: Run[];
  /** Runs that had an open connection to the dead edge, whatever became of them. */
  onDeadEdge: Run[];
  /** Failed runs that had none: each breaks the promise. */
  unexcused: Run[];
}

/** Runs that ended in `span`. A disturbance can't have hurt one that was over. */
export function runsEndedIn<T extends Run>(runs: readonly T[], span: Span): T[] {
  return runs.filter(({ endedAt }) => endedAt > span.fromMs && endedAt <= span.toMs);
}

/** The run of `agent` that went on at `atMs`, if there was one. */
export function runAt<T extends Run>(
  runs: readonly T[],
  agent: string,
  atMs: number,
): T | undefined {
  return runs.find((run) => run.agent === agent && run.startedAt <= atMs && run.endedAt >= atMs);
}

/** What a power cut of the edge was like. */
export interface Cut {
  /** When the cable was out, ms since the epoch. */
  atMs: number;
  /** Agents that had an open connection to the edge right before. */
  open: readonly string[];
}

/** Whether the dead edge took the run's connection with it: the loss that can't be helped. */
export function wasOnDeadEdge(run: Run, { atMs, open }: Cut): boolean {
  return run.startedAt <= atMs && run.endedAt > atMs && open.includes(run.agent);
}

/**
 * Judges a power cut: at `span.fromMs`, with `open` the agents that had an open connection right
 * before.
 */
export function judgeCut(runs: readonly Run[], span: Span, open: readonly string[]): CutOutcome {
  const ended = runsEndedIn(runs, span);
  const failed = ended.filter(({ ok }) => !ok);
  const onDeadEdge = ended.filter((run) => wasOnDeadEdge(run, { atMs: span.fromMs, open }));
  return {
    runs: ended,
    failed,
    hung: failed.filter(({ hung }) => hung),
    onDeadEdge,
    unexcused: failed.filter((run) => !onDeadEdge.includes(run)),
  };
}
