import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../cluster/outage.ts";
import { type DemoFacts, judgeDemo } from "./judge.ts";

function run(agent: string, startedAt: number, endedAt: number, ok = true): Run {
  const because = ok ? "" : "connection reset";
  return { agent, startedAt, endedAt, ms: endedAt - startedAt, ok, hung: false, because };
}

const ENROLLED = ["web1", "db1"].map((agent) => ({
  agent,
  how: "allowlist",
  ok: true,
  ms: 3000,
  because: "",
}));

const GOOD: DemoFacts = {
  wallMs: 321_400,
  enrolments: ENROLLED,
  runs: [run("web1", 100, 200), run("db1", 1500, 1900), run("web1", 2900, 3100, false)],
  kills: { span: { fromMs: 1000, toMs: 2000 }, count: 3, replays: 4 },
  cut: { server: "s1.lab.test", span: { fromMs: 3000, toMs: 9000 }, open: ["web1"], gapMs: 340.4 },
  enrolDuringOutage: { ok: true, ms: 4100, because: "" },
  rejoinMs: 31_000,
};

test("judgeDemo keeps the promise when only runs on the dead edge failed", () => {
  const { result, broken, onDeadEdge } = judgeDemo(GOOD);
  assert.deepEqual(broken, []);
  assert.deepEqual(result, {
    verdict: "kept",
    wallSeconds: 321,
    runs: { total: 5, failed: 1 },
    compileKill: { failedRuns: 0, replays: 4 },
    powerCut: { server: "s1.lab.test", gapMs: 340, failedRuns: 1, runsOnDeadEdge: 1 },
    enrolDuringOutage: { ok: true, ms: 4100 },
    rejoin: { ms: 31_000 },
  });
  assert.deepEqual(onDeadEdge, [GOOD.runs[2]]);
});

test("judgeDemo breaks on any failed run that the dead edge doesn't excuse", () => {
  const failures = [
    run("db1", 100, 900, false),
    run("db1", 1100, 1900, false),
    run("db1", 2900, 3100, false),
    run("web1", 3200, 3300, false),
  ];
  for (const failure of failures) {
    const { result, broken } = judgeDemo({ ...GOOD, runs: [...GOOD.runs, failure] });
    assert.equal(result.verdict, "broken");
    assert.match(broken.join(), /a run of (db1|web1) failed after \d+ ms: connection reset/);
  }
});

test("judgeDemo counts failed runs to the act in which they ended", () => {
  const runs = [run("db1", 900, 1100, false), run("db1", 3200, 3300, false)];
  const { result } = judgeDemo({ ...GOOD, runs });
  assert.equal(result.compileKill.failedRuns, 1);
  assert.equal(result.powerCut.failedRuns, 1);
  assert.equal(result.powerCut.runsOnDeadEdge, 0);
});

test("judgeDemo breaks when something was not reached, and says null instead of a figure", () => {
  const { result, broken } = judgeDemo({ wallMs: 1000, enrolments: [], runs: [] });
  assert.equal(result.verdict, "broken");
  assert.equal(broken.length, 5);
  assert.deepEqual(result.powerCut, {
    server: null,
    gapMs: null,
    failedRuns: null,
    runsOnDeadEdge: null,
  });
  const missing: (keyof DemoFacts)[] = ["kills", "cut", "enrolDuringOutage", "rejoinMs"];
  for (const key of missing) {
    const facts = { ...GOOD };
    delete facts[key];
    assert.equal(judgeDemo(facts).result.verdict, "broken", key);
  }
});

test("judgeDemo breaks when an enrolment fails, the address stays away or a kill was not replayed", () => {
  const [first, second] = ENROLLED;
  assert.ok(first && second && GOOD.kills && GOOD.cut);
  const cases: [Partial<DemoFacts>, RegExp][] = [
    [{ enrolments: [first, { ...second, ok: false, because: "404" }] }, /db1 could not enrol: 404/],
    [{ enrolDuringOutage: { ok: false, ms: 9, because: "503" } }, /no enrolment .*: 503/],
    [{ cut: { ...GOOD.cut, gapMs: undefined } }, /address did not come back/],
    [{ kills: { ...GOOD.kills, replays: 2 } }, /3 compiles were killed, yet 2 requests replayed/],
  ];
  for (const [changes, expected] of cases) {
    const { result, broken } = judgeDemo({ ...GOOD, ...changes });
    assert.equal(result.verdict, "broken");
    assert.match(broken.join(), expected);
  }
});
