// What the demo came to: from what happened to its figures and verdict. Pure.
// Danger: "kept" must be hard to get. What was not reached, or not measured, is not kept.

import { judgeCut, type Run, runsEndedIn, type Span } from "../cluster/outage.ts";

/** One agent's enrolment: its first run, with the request and the signing in it. */
export interface Enrolment {
  agent: string;
  how: string;
  ok: boolean;
  ms: number;
  because: string;
}

/** What the demo saw. Steps that were not reached are missing. Times in ms since the epoch. */
export interface DemoFacts {
  wallMs: number;
  enrolments: readonly Enrolment[];
  /** Every run of the agents that run back to back, those that hung too. */
  runs: readonly Run[];
  kills?: {
    span: Span;
    count: number;
    /** How many further requests the edges have replayed since the first kill. */
    replays: number;
  };
  cut?: {
    server: string;
    /** From the cut to the end of the last run. */
    span: Span;
    /** Agents with an open connection to the dead edge, right before the cut. */
    open: readonly string[];
    /** How long the virtual address did not answer; undefined when it never came back. */
    gapMs: number | undefined;
  };
  enrolDuringOutage?: { ok: boolean; ms: number; because: string };
  /** From power on to being back in every list. */
  rejoinMs?: number;
}

/** out/demo.json. What was not reached is null. */
export interface DemoResult {
  verdict: "kept" | "broken";
  wallSeconds: number;
  runs: { total: number; failed: number };
  compileKill: { failedRuns: number | null; replays: number | null };
  powerCut: {
    server: string | null;
    gapMs: number | null;
    failedRuns: number | null;
    runsOnDeadEdge: number | null;
  };
  enrolDuringOutage: { ok: boolean; ms: number | null };
  rejoin: { ms: number | null };
}

export interface Judgement {
  result: DemoResult;
  /** Why the verdict is "broken"; empty when it is "kept". */
  broken: string[];
  /** Runs that the dead edge took with it, whatever became of them. */
  onDeadEdge: Run[];
}

export function judgeDemo(facts: DemoFacts): Judgement {
  const { kills, cut } = facts;
  const killed = kills && runsEndedIn(facts.runs, kills.span).filter(({ ok }) => !ok);
  const outage = cut && judgeCut(facts.runs, cut.span, cut.open);
  const excused = new Set(outage?.failed.filter((run) => !outage.unexcused.includes(run)));
  const failed = facts.runs.filter(({ ok }) => !ok);
  const broken = [
    ...notReached(facts),
    ...facts.enrolments
      .filter(({ ok }) => !ok)
      .map(({ agent, because }) => `${agent} could not enrol: ${because}`),
    ...failed.filter((run) => !excused.has(run)).map(describeFailure),
    ...(facts.enrolDuringOutage?.ok === false
      ? [`no enrolment during the outage: ${facts.enrolDuringOutage.because}`]
      : []),
  ];
  const failedEnrolments = facts.enrolments.filter(({ ok }) => !ok).length;
  return {
    result: {
      verdict: broken.length === 0 ? "kept" : "broken",
      wallSeconds: Math.round(facts.wallMs / 1000),
      runs: {
        total: facts.runs.length + facts.enrolments.length,
        failed: failed.length + failedEnrolments,
      },
      compileKill: { failedRuns: killed?.length ?? null, replays: kills?.replays ?? null },
      powerCut: {
        server: cut?.server ?? null,
        gapMs: cut?.gapMs === undefined ? null : Math.round(cut.gapMs),
        failedRuns: outage?.failed.length ?? null,
        runsOnDeadEdge: outage?.onDeadEdge.length ?? null,
      },
      enrolDuringOutage: {
        ok: facts.enrolDuringOutage?.ok ?? false,
        ms: facts.enrolDuringOutage === undefined ? null : Math.round(facts.enrolDuringOutage.ms),
      },
      rejoin: { ms: facts.rejoinMs === undefined ? null : Math.round(facts.rejoinMs) },
    },
    broken,
    onDeadEdge: outage?.onDeadEdge ?? [],
  };
}

function notReached(facts: DemoFacts): string[] {
  const missing: string[] = [];
  if (facts.enrolments.length < 2) missing.push("two agents were not enrolled");
  if (facts.kills === undefined || facts.kills.count === 0) {
    missing.push("no puppetserver was killed in mid-compile");
  } else if (facts.kills.replays < facts.kills.count) {
    const { count, replays } = facts.kills;
    missing.push(`${count} compiles were killed, yet ${replays} requests replayed`);
  }
  if (facts.cut === undefined) missing.push("no power was cut");
  else if (facts.cut.gapMs === undefined) missing.push("the address did not come back");
  if (facts.enrolDuringOutage === undefined) missing.push("no agent enrolled during the outage");
  if (facts.rejoinMs === undefined) missing.push("the server did not come back");
  return missing;
}

function describeFailure(run: Run): string {
  return `a run of ${run.agent} ${run.hung ? "hung" : "failed"} after ${run.ms} ms: ${run.because}`;
}
