import assert from "node:assert/strict";
import { test } from "node:test";
import { describeStop, exitOf, renderPlan } from "./drill.ts";
import { EXIT } from "./output.ts";
import { describeAll, describeProbe } from "./probe.ts";

const PLAN = { kind: "edge-kill" as const, server: "s1", driver: "s2" };
const ANSWER = { status: 200, ms: 90, target: "10.0.0.10:8140", certname: "understudy-probe.s1" };

test("renderPlan shows what it means, and every reason against it", () => {
  assert.equal(renderPlan({ ...PLAN, lines: ["a", "b"], refused: [] }), "a\nb");
  const refused = renderPlan({ ...PLAN, lines: ["a"], refused: ["x", "y"] });
  assert.equal(refused, "a\n\nRefused now:\n - x\n - y");
  assert.equal(renderPlan({ ...PLAN, lines: [], refused: ["x"] }), "Refused now:\n - x");
});

const ENDS: [Parameters<typeof exitOf>[0], number][] = [
  [{ outcome: "done", left: [] }, EXIT.ok],
  [{ outcome: "done", left: ["s1 doesn't answer"] }, EXIT.unconfirmed],
  [{ outcome: "stopped", left: [] }, EXIT.unconfirmed],
  [{ outcome: "failed", left: [] }, EXIT.failed],
  [{ outcome: "failed", left: ["s1 doesn't answer"] }, EXIT.unconfirmed],
];
for (const [report, code] of ENDS) {
  test(`exitOf ${report.outcome} with ${report.left.length} left is ${code}`, () =>
    assert.equal(exitOf(report), code));
}

test("describeStop says nothing of stopping where nothing runs", () => {
  assert.match(describeStop({ running: true }), /^It stops/);
  assert.match(describeStop({ running: false }), /nothing to stop/);
});

test("describeProbe is one line, whatever an answer says", () => {
  const at = Date.parse("2026-12-01T10:00:00Z");
  assert.equal(
    describeProbe({ ...ANSWER, ok: true, because: "" }, at),
    "10:00:00 UTC  10.0.0.10:8140  catalog in 90 ms",
  );
  const failed = describeProbe({ ...ANSWER, ok: false, because: "a\nb\u001b[2J" }, at);
  assert.ok(!failed.includes("\n") && !failed.includes("\u001b"), failed);
});

test("describeAll gives the median of those that came", () => {
  assert.equal(describeAll([30, 10, 20], 1), "4 asked for, 1 failed, median 20 ms, slowest 30 ms");
  assert.equal(describeAll([], 2), "2 asked for, 2 failed");
});
