import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeCut, type Run, runAt, runsEndedIn } from "./outage.ts";

const CUT = { fromMs: 1000, toMs: 9000 };

function run(agent: string, startedAt: number, endedAt: number, changes: Partial<Run> = {}): Run {
  const because = changes.ok === false ? "it failed" : "";
  return {
    agent,
    startedAt,
    endedAt,
    ms: endedAt - startedAt,
    ok: true,
    hung: false,
    because,
    ...changes,
  };
}

test("runsEndedIn takes runs that ended after the beginning and not after the end", () => {
  const runs = [
    run("a", 0, 1000),
    run("a", 1001, 2000),
    run("a", 2001, 9000),
    run("a", 9001, 9500),
  ];
  assert.deepEqual(runsEndedIn(runs, CUT), [runs[1], runs[2]]);
});

test("runAt finds the agent's run that went on at an instant", () => {
  const runs = [run("a", 0, 900), run("a", 950, 2000), run("b", 950, 2000)];
  assert.equal(runAt(runs, "a", 1000), runs[1]);
  assert.equal(runAt(runs, "a", 920), undefined);
});

test("judgeCut excuses failed runs with a connection to the dead edge and no others", () => {
  const onEdge = run("a", 500, 1200, { ok: false });
  const hung = run("b", 500, 8000, { ok: false, hung: true });
  const waited = run("c", 500, 2000);
  const later = run("a", 1300, 3000, { ok: false });
  const elsewhere = run("d", 500, 1500, { ok: false });
  const outcome = judgeCut([onEdge, hung, waited, later, elsewhere], CUT, ["a", "b", "c"]);
  assert.deepEqual(outcome.onDeadEdge, [onEdge, hung, waited]);
  assert.deepEqual(outcome.failed, [onEdge, hung, later, elsewhere]);
  assert.deepEqual(outcome.hung, [hung]);
  assert.deepEqual(outcome.unexcused, [later, elsewhere]);
});

test("judgeCut does not count a run that had ended before the cut", () => {
  const before = run("a", 100, 1000, { ok: false });
  assert.deepEqual(judgeCut([before], CUT, ["a"]).failed, []);
});
