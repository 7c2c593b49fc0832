import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AGAIN_MS,
  ALONE_MS,
  decideSync,
  EVERY_MS,
  judgeStanding,
  OPEN_AGAIN_MS_MAX,
  standingAfter,
  type SyncSight,
  UNCOMPARED_MS_MAX,
} from "./decide.ts";

const CALM: SyncSight = {
  standing: "level",
  others: true,
  filling: false,
  notReady: "",
  aloneMs: 0,
  readyMs: 60_000,
  sinceMs: 1000,
  failures: 0,
  owed: false,
  asked: false,
};

void test("decideSync compares at the start, on a timer, when asked, and until it is level", () => {
  const cases: [Partial<SyncSight>, string][] = [
    [{}, "wait"],
    [{ sinceMs: undefined }, "start"],
    [{ sinceMs: EVERY_MS }, "timer"],
    [{ asked: true }, "hand, every"],
    [{ standing: "unknown" }, "start, every"],
    [{ standing: "unknown", sinceMs: undefined }, "start, every"],
    [{ standing: "lacks" }, "start, every"],
    [{ owed: true }, "start, every"],
    [{ asked: true, notReady: "it lacks 3 commands" }, "wait"],
    [{ asked: true, others: false }, "wait"],
    [{ standing: "lacks", failures: 1, sinceMs: AGAIN_MS - 1 }, "wait"],
    [{ standing: "lacks", failures: 1, sinceMs: AGAIN_MS }, "start, every"],
    [{ standing: "lacks", failures: 50, sinceMs: OPEN_AGAIN_MS_MAX }, "start, every"],
    [{ failures: 1, sinceMs: AGAIN_MS }, "timer"],
    [{ failures: 50, sinceMs: EVERY_MS - 1 }, "wait"],
    [{ failures: 50, sinceMs: EVERY_MS }, "timer"],
  ];
  for (const [sight, expected] of cases) {
    const act = decideSync({ ...CALM, ...sight });
    const said = act.do === "round" ? `${act.by}${act.every ? ", every" : ""}` : act.do;
    assert.equal(said, expected, JSON.stringify(sight));
  }
});

void test("decideSync trusts the couriers alone where nobody can be compared with, never one that lacks or fills", () => {
  const alone: Partial<SyncSight> = { standing: "unknown", others: false, aloneMs: ALONE_MS };
  const stuck: Partial<SyncSight> = { standing: "unknown", readyMs: UNCOMPARED_MS_MAX };
  for (const sight of [alone, stuck]) {
    assert.equal(decideSync({ ...CALM, ...sight }).do, "trust");
    assert.notEqual(decideSync({ ...CALM, ...sight, standing: "lacks" }).do, "trust");
    assert.notEqual(decideSync({ ...CALM, ...sight, filling: true }).do, "trust");
    assert.notEqual(decideSync({ ...CALM, ...sight, notReady: "it lacks 3 commands" }).do, "trust");
  }
  assert.equal(decideSync({ ...CALM, ...alone, aloneMs: ALONE_MS - 1 }).do, "wait");
});

void test("decideSync lets two that were both down compare with each other", () => {
  const back: SyncSight = { ...CALM, standing: "unknown", sinceMs: undefined };
  // Each answers the other's queries for the comparison, whether or not it answers agents.
  assert.equal(decideSync(back).do, "round");
});

void test("standingAfter keeps back one that queries miss nodes of, unless it is taken as it is", () => {
  const found = { lacks: 0, isLevel: false, accepted: false };
  assert.equal(standingAfter(found), undefined);
  assert.equal(standingAfter({ ...found, isLevel: true }), "level");
  assert.equal(standingAfter({ ...found, lacks: 1 }), "lacks");
  assert.equal(standingAfter({ ...found, lacks: 1, accepted: true }), undefined);
});

void test("judgeStanding lets one answer that is level, or the only one", () => {
  const lacks = { lacks: 3, isSole: false, isMeasure: false };
  assert.equal(judgeStanding("level", lacks), "");
  assert.equal(judgeStanding("unknown", { ...lacks, isSole: true }), "");
  assert.equal(judgeStanding("unknown", { ...lacks, isMeasure: true }), "");
  assert.match(judgeStanding("lacks", { ...lacks, isMeasure: true }), /lacks 3 nodes/);
  assert.match(judgeStanding("lacks", lacks), /lacks 3 nodes/);
  assert.match(judgeStanding("unknown", lacks), /isn't compared/);
});
