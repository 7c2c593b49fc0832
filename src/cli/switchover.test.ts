import assert from "node:assert/strict";
import { test } from "node:test";
import { asksToStop, asShown, renderDone, renderPlan } from "./switchover.ts";

const before = [
  { id: "s1.test", addresses: ["10.0.0.10"] },
  { id: "s2.test", addresses: [] },
];
const after = [
  { id: "s1.test", addresses: [] },
  { id: "s2.test", addresses: ["10.0.0.10"] },
];
const ends = { from: "s1.test", to: "s2.test" };

test("renderPlan shows who holds what before and after, and why it is refused", () => {
  const plan = {
    ...ends,
    moves: [{ address: "10.0.0.10", breaks: "" }],
    already: false,
    before,
    after,
    lines: ["10.0.0.10 moves."],
    refused: "",
  };
  assert.equal(
    renderPlan(plan),
    [
      "SERVER   HOLDS      AFTERWARDS",
      "s1.test  10.0.0.10  -",
      "s2.test  -          10.0.0.10",
      "",
      "10.0.0.10 moves.",
    ].join("\n"),
  );
  assert.match(renderPlan({ ...plan, refused: "because" }), /Refused now: because\.$/);
});

test("renderDone says what has moved, and what the former server still serves", () => {
  const done = {
    ...ends,
    already: false,
    addresses: ["10.0.0.10"],
    holders: after,
    connections: 12,
    tookMs: 63.4,
    limitS: 900,
  };
  assert.match(
    renderDone(done),
    /^10\.0\.0\.10: from s1\.test to s2\.test, in 63 ms\.\ns1\.test still serves 12 connections, for 15m at most\./,
  );
  assert.match(renderDone({ ...done, connections: 0 }), /s1\.test had no connection left/);
  assert.equal(renderDone({ ...done, already: true }), "s2.test holds it already: nothing to do.");
});

test("asShown: what runs is what was shown, whoever is the fittest by then", () => {
  const body = { force: true, limitS: 900 };
  const moves = [
    { address: "10.0.0.10", breaks: "" },
    { address: "10.0.1.10", breaks: "" },
  ];
  const shown = { ...body, to: "s2", address: "10.0.0.10" };
  assert.deepEqual(asShown(body, { to: "s2", moves }), shown);
  const named = { ...body, address: "10.0.1.10", to: "s2" };
  assert.deepEqual(asShown(named, { to: "s2.test", moves }), { ...named, to: "s2.test" });
  assert.deepEqual(asShown(body, { to: "s2", moves: [] }), { ...body, to: "s2" });
});

test("asksToStop: at once, and once more when it is seen to run", () => {
  assert.equal(asksToStop(undefined, 0), true);
  assert.equal(asksToStop(undefined, 3), true);
  assert.equal(asksToStop(0, 0), false);
  assert.equal(asksToStop(0, 1), true);
  assert.equal(asksToStop(1, 1), false);
  assert.equal(asksToStop(1, 4), false);
});
