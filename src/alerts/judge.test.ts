import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Warning, type WarningKind, warning } from "../cluster/warning.ts";
import {
  CLEAR_MS,
  FLAP_MS,
  HOLD_MS,
  judgeAlerts,
  KNOWN_MAX,
  NOTHING_SEEN,
  REMIND_MS,
  type Watch,
} from "./judge.ts";
import { alertKey, type AlertChange, KnownAlert } from "./state.ts";

const DOWN = warning("edge-down", "s2", "s2's edge is down: stopped");
const FULL = warning("etcd-full", "s1", "s1's etcd has a nearly full database");
const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const NOBODY: ReadonlySet<string> = new Set<string>();

/** One who judges, tick by tick; `change` names each change it told. */
function judgeOf(known: KnownAlert[] = []) {
  let watch: Watch = NOTHING_SEEN;
  let atMs = 0;
  return {
    known: () => known,
    look(
      afterMs: number,
      warnings: readonly Warning[],
      silent: ReadonlySet<string> = NOBODY,
      planned: ReadonlySet<string> = NOBODY,
    ) {
      atMs += afterMs;
      const judged = judgeAlerts({ known }, watch, {
        warnings,
        silent,
        planned,
        atMs,
        nowMs: NOW_MS + atMs,
      });
      known = judged.known;
      watch = judged.watch;
      return judged.changes.map(({ change, kind }) => `${change} ${kind}`);
    },
  };
}

test("judgeAlerts tells what has held for a while, once, and that it is over", () => {
  const judge = judgeOf();
  assert.deepEqual(judge.look(0, [DOWN]), []);
  assert.deepEqual(judge.look(HOLD_MS.critical - 1, [DOWN]), []);
  assert.deepEqual(judge.look(1, [DOWN]), ["raised edge-down"]);
  assert.deepEqual(judge.look(10_000, [DOWN]), []);
  assert.deepEqual(judge.look(10_000, []), []);
  assert.deepEqual(judge.look(CLEAR_MS, []), ["resolved edge-down"]);
  assert.deepEqual(judge.look(FLAP_MS, []), []);
  assert.deepEqual(judge.known(), [], "and then it is forgotten");
});

test("judgeAlerts says nothing of what was so for a moment, nor waits less for what is worse", () => {
  const judge = judgeOf();
  judge.look(0, [FULL]);
  assert.deepEqual(judge.look(HOLD_MS.critical, [FULL]), []);
  judge.look(1000, []);
  assert.deepEqual(judge.look(HOLD_MS.warning - 1, [FULL]), [], "it began anew");
  assert.deepEqual(judge.look(HOLD_MS.warning, [FULL]), ["raised etcd-full"]);
});

test("judgeAlerts tells what stays so again each day", () => {
  const judge = judgeOf();
  judge.look(0, [DOWN]);
  judge.look(HOLD_MS.critical, [DOWN]);
  assert.deepEqual(judge.look(REMIND_MS - 1, [DOWN]), []);
  assert.deepEqual(judge.look(1, [DOWN]), ["still edge-down"]);
  assert.deepEqual(judge.look(REMIND_MS, [DOWN]), ["still edge-down"]);
});

test("judgeAlerts believes no time that a leader with a wrong clock has left", () => {
  const aheadMs = NOW_MS + REMIND_MS * 30;
  const { kind, subject, severity, text } = DOWN;
  const of = { kind, subject, severity, text, sinceMs: aheadMs, toldMs: aheadMs };
  const known = { ...of, raises: [aheadMs, aheadMs + 1], flapping: false };
  const raised = judgeOf([{ ...known, state: "raised" }]);
  assert.deepEqual(raised.look(0, [DOWN]), ["still edge-down"]);
  assert.deepEqual(raised.look(0, [DOWN]), []);
  const resolved = judgeOf([{ ...known, state: "resolved" }]);
  resolved.look(0, [DOWN]);
  assert.deepEqual(resolved.look(HOLD_MS.critical, [DOWN]), ["raised edge-down"]);
  const gone = judgeOf([{ ...known, state: "resolved" }]);
  gone.look(0, []);
  assert.deepEqual(gone.known(), []);
});

test("judgeAlerts tells once that something comes and goes, and then of a long quiet only", () => {
  const judge = judgeOf();
  const told: string[] = [];
  for (let times = 0; times < 20; times += 1) {
    told.push(...judge.look(1000, [DOWN]), ...judge.look(HOLD_MS.critical, [DOWN]));
    told.push(...judge.look(1000, []), ...judge.look(CLEAR_MS, []));
  }
  assert.deepEqual(told, [
    "raised edge-down",
    "resolved edge-down",
    "raised edge-down",
    "resolved edge-down",
    "flapping edge-down",
  ]);
  assert.deepEqual(judge.look(FLAP_MS - CLEAR_MS - 2, []), []);
  assert.deepEqual(judge.look(CLEAR_MS, []), ["resolved edge-down"]);
});

test("judgeAlerts takes nothing for gone that only can't be seen", () => {
  const judge = judgeOf();
  judge.look(0, [DOWN]);
  judge.look(HOLD_MS.critical, [DOWN]);
  const silence = warning("member-silent", "s2", "s2 doesn't answer");
  judge.look(1000, [silence], new Set(["s2"]));
  assert.deepEqual(judge.look(CLEAR_MS * 5, [silence], new Set(["s2"])), ["raised member-silent"]);
  judge.look(1000, [DOWN]);
  assert.deepEqual(judge.look(CLEAR_MS, [DOWN]), ["resolved member-silent"]);
});

test("judgeAlerts tells of a server that is out by somebody's wish only what costs the others", () => {
  const judge = judgeOf();
  const out = new Set(["s2"]);
  const silence = warning("member-silent", "s2", "s2 doesn't answer");
  const vote = warning("etcd-vote-missing", "s2", "s2's vote in etcd is missing");
  judge.look(0, [silence, vote], out, out);
  const told = judge.look(HOLD_MS.critical * 9, [silence, vote], out, out);
  assert.deepEqual(told, ["raised etcd-vote-missing"]);
  judge.look(1000, [silence, vote], out);
  const after = judge.look(HOLD_MS.critical, [silence, vote], out);
  assert.deepEqual(after, ["raised member-silent"], "when it should be back");
  assert.deepEqual(judge.look(CLEAR_MS * 9, [silence, vote], out, out), [], "it stays told");
});

test("judgeAlerts tells that something got worse", () => {
  const judge = judgeOf();
  const off = { ...warning("clock-off", "s1", "12 s"), severity: "warning" as const };
  judge.look(0, [off]);
  judge.look(HOLD_MS.warning, [off]);
  assert.deepEqual(judge.look(1000, [{ ...off, severity: "critical" }]), ["worse clock-off"]);
  assert.deepEqual(judge.look(1000, [off]), []);
});

test("judgeAlerts bounds what is known, critical alerts first", () => {
  const many = Array.from({ length: KNOWN_MAX * 2 }, (_, n) => warning("etcd-full", `m${n}`, "x"));
  const judge = judgeOf();
  judge.look(0, [...many, DOWN]);
  judge.look(HOLD_MS.warning, [...many, DOWN]);
  assert.equal(judge.known().length, KNOWN_MAX);
  assert.ok(judge.known().some(({ kind }) => kind === "edge-down"));
});

test("judgeAlerts knows what has long texts again, as the record keeps them", () => {
  const long = warning("expiry-near", "x".repeat(5000), "y".repeat(5000));
  const judge = judgeOf();
  judge.look(0, [long]);
  assert.deepEqual(judge.look(HOLD_MS.warning, [long]), ["raised expiry-near"]);
  assert.deepEqual(KnownAlert.array().parse(judge.known()), judge.known());
  assert.deepEqual(judge.look(HOLD_MS.warning, [long]), []);
});

// Leaders come and go at any step: before they have written, after, or with what they remember.
const KINDS: WarningKind[] = ["edge-down", "etcd-full", "ca-troubled"];
const TICK_MS = 10_000;
const step = fc.record({
  present: fc.subarray(KINDS),
  leader: fc.integer({ min: 0, max: 2 }),
  /** What becomes of the one who leads at this tick. */
  fate: fc.constantFrom("lives", "lives", "lives", "dies before", "dies after"),
  ticks: fc.integer({ min: 1, max: 20 }),
});

/** Plays `steps`; what was told, in order, and what the record knows after each tick. */
function play(
  steps: readonly { present: WarningKind[]; leader: number; fate: string; ticks: number }[],
) {
  let known: KnownAlert[] = [];
  const watches = new Map<number, Watch>();
  const told: AlertChange[] = [];
  const ticks: { present: Set<string>; leader: number; fate: string; known: KnownAlert[] }[] = [];
  let leader = -1;
  let atMs = 0;
  for (const { present, leader: next, fate, ticks: count } of steps) {
    // Whoever begins to lead remembers nothing.
    if (next !== leader) watches.delete(next);
    leader = next;
    for (let tick = 0; tick < count; tick += 1) {
      atMs += TICK_MS;
      const last = tick === count - 1 ? fate : "lives";
      const warnings = present.map((kind) => warning(kind, "s1", kind));
      const look = { warnings, silent: NOBODY, planned: NOBODY, atMs, nowMs: NOW_MS + atMs };
      const judged = judgeAlerts({ known }, watches.get(leader) ?? NOTHING_SEEN, look);
      if (last !== "dies before") {
        known = judged.known;
        told.push(...judged.changes);
      }
      if (last === "lives") watches.set(leader, judged.watch);
      else watches.delete(leader);
      ticks.push({ present: new Set(present), leader, fate: last, known });
    }
  }
  return { told, ticks };
}

test("no alert is told twice, at whatever step leaders change", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const open = new Set<string>();
      for (const each of play(steps).told) {
        const key = alertKey(each);
        const begins = each.change === "raised" || each.change === "flapping";
        assert.equal(open.has(key), !begins, `${each.change} ${key}`);
        if (begins) open.add(key);
        else if (each.change === "resolved") open.delete(key);
      }
    }),
    { numRuns: 300 },
  );
});

test("no alert is lost, and none stays: a leader that stays for long enough tells of both", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { ticks } = play(steps);
      const since = new Map<string, number>();
      for (const [index, tick] of ticks.entries()) {
        const before = ticks[index - 1];
        for (const kind of KINDS) {
          const same =
            before?.leader === tick.leader &&
            before.fate === "lives" &&
            tick.fate === "lives" &&
            before.present.has(kind) === tick.present.has(kind);
          const forTicks = same ? (since.get(kind) ?? 0) + 1 : 0;
          since.set(kind, forTicks);
          const alert = tick.known.find((each) => each.kind === kind);
          const raised = alert?.state === "raised";
          const enough = tick.present.has(kind) ? HOLD_MS.warning : FLAP_MS;
          if (forTicks * TICK_MS < enough) continue;
          assert.equal(raised, tick.present.has(kind), `${kind} at ${index}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
