// What the demo prints at its end: a table, the verdict, and what to try in a lab that is kept.

import { renderTable } from "../../src/base/table.ts";
import type { DemoFacts, Judgement } from "./judge.ts";

/** The table and the verdict. */
export function renderDemo(facts: DemoFacts, judgement: Judgement): string {
  const { result, broken } = judgement;
  const parts = [renderTable(["STEP", "OUTCOME"], rows(facts, judgement))];
  const waits = judgement.onDeadEdge.map(
    ({ agent, ms, ok, because }) =>
      `  ${agent}: its run took ${seconds(ms)} in all and ${ok ? "succeeded" : `failed: ${because}`}`,
  );
  if (waits.length > 0)
    parts.push(["Runs that were connected to the dead edge:", ...waits].join("\n"));
  if (result.verdict === "kept") {
    parts.push(
      "Verdict: kept. Nothing failed but what was travelling through the server that lost power.",
    );
  } else {
    parts.push(["Verdict: BROKEN.", ...broken.map((line) => `  ${line}`)].join("\n"));
  }
  return parts.join("\n\n");
}

function rows(facts: DemoFacts, { result }: Judgement): string[][] {
  const { compileKill, powerCut, enrolDuringOutage, rejoin } = result;
  const enrolments = facts.enrolments.map(({ agent, how, ok, ms }) => [
    `enrol ${agent}, ${how}`,
    ok ? `first run done after ${seconds(ms)}` : "FAILED",
  ]);
  return [
    ...enrolments,
    [
      `(a) ${facts.kills?.count ?? 0} puppetservers killed in mid-compile`,
      compileKill.failedRuns === null
        ? "not reached"
        : `${runs(compileKill.failedRuns)} failed, ${compileKill.replays ?? 0} requests replayed`,
    ],
    [
      `(b) power cut of ${powerCut.server ?? "the address's holder"}`,
      powerCut.failedRuns === null
        ? "not reached"
        : `address away for ${gapText(powerCut.gapMs)}; ${runs(powerCut.failedRuns)} failed of ` +
          `${powerCut.runsOnDeadEdge ?? 0} that were connected to the dead edge`,
    ],
    [
      "(c) new agent enrols meanwhile",
      enrolDuringOutage.ms === null
        ? "not reached"
        : `${enrolDuringOutage.ok ? "first run done" : "FAILED"} after ${seconds(enrolDuringOutage.ms)}`,
    ],
    [
      "(d) the server is back in every list",
      rejoin.ms === null ? "not reached" : `${seconds(rejoin.ms)} after power on`,
    ],
    ["all runs", `${result.runs.total}, of which ${result.runs.failed} failed`],
  ];
}

function runs(count: number): string {
  return count === 1 ? "1 run" : `${count} runs`;
}

function gapText(ms: number | null): string {
  return ms === null ? "ever" : seconds(ms, 2);
}

function seconds(ms: number, digits = 1): string {
  return `${(ms / 1000).toFixed(digits)} s`;
}

/** What to try in a lab that --keep left up. */
export const TO_TRY = `The lab stays up. To try:
  npm run lab -- exec s1 understudy status
  npm run lab -- exec s2 understudy ca list --all
  npm run lab -- exec a1 puppet agent -t --confdir /srv/agents/web1.auto.lab.test
  npm run lab -- cut s1 --power            then: npm run lab -- boot s1
  npm run lab -- shell s1
  npm run lab -- down                      ends it and removes every trace`;
