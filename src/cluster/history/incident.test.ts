import assert from "node:assert/strict";
import { test } from "node:test";
import { type Draft, entryOf } from "./entry.ts";
import { type Asked, buildTimeline } from "./incident.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const SPAN = { sinceMs: NOW_MS, untilMs: NOW_MS + 3_600_000 };

const entry = (member: string, atMs: number, what: string, more: Partial<Draft> = {}, number = 1) =>
  entryOf({ kind: "member", what, atMs: NOW_MS + atMs, ...more }, { member, number });

function asked(member: string, offsetMs: number, entries: Asked["evidence"]["entries"]): Asked {
  return { offsetMs, evidence: { member, wallMs: NOW_MS, entries, leftOut: 0, acts: [] } };
}

const down = { seen: { subject: "puppetserver s3", state: "down" } };
const up = { seen: { subject: "puppetserver s3", state: "up" } };
const told = (lines: ReturnType<typeof buildTimeline>) =>
  lines.map(({ atMs, member, what }) => `${(atMs - NOW_MS) / 1000} ${member} ${what}`);

test("buildTimeline puts all members' entries in order by one clock", () => {
  const lines = buildTimeline(
    [
      asked("s1", 0, [entry("s1", 10_000, "takes the address")]),
      // Its clock is 8 s ahead, so this was before.
      asked("s2", 8000, [entry("s2", 12_000, "loses power")]),
    ],
    [],
    SPAN,
  );
  assert.deepEqual(told(lines), ["4 s2 loses power", "10 s1 takes the address"]);
});

test("buildTimeline shows an entry once that its member and the record have, whatever the clock", () => {
  const both = entry("s2", 12_000, "leaves");
  const lines = buildTimeline([asked("s2", 8000, [both])], [both], SPAN);
  assert.deepEqual(told(lines), ["4 s2 leaves"]);
  assert.equal(lines[0]?.uncorrected, false);
});

test("buildTimeline corrects what of a member that was asked only the record has", () => {
  const asking = [
    asked("s1", 0, [entry("s1", 10_000, "takes the address")]),
    asked("s2", 8000, []),
  ];
  const lines = buildTimeline(asking, [entry("s2", 12_000, "loses power")], SPAN);
  assert.deepEqual(told(lines), ["4 s2 loses power", "10 s1 takes the address"]);
});

test("buildTimeline takes from the record what a member that is gone has told, and marks it", () => {
  const lines = buildTimeline([asked("s1", 0, [])], [entry("s3", 5000, "joins")], SPAN);
  assert.deepEqual(told(lines), ["5 s3 joins"]);
  assert.equal(lines[0]?.uncorrected, true);
});

test("buildTimeline makes one line of what several saw, and another of each change", () => {
  const lines = buildTimeline(
    [
      asked("s1", 0, [entry("s1", 1000, "s3 down", down, 1), entry("s1", 30_000, "s3 up", up, 2)]),
      asked("s2", 0, [entry("s2", 1500, "s3 down", down, 1), entry("s2", 31_000, "s3 up", up, 2)]),
      asked("s4", 0, [entry("s4", 40_000, "s3 down", down, 1)]),
    ],
    [],
    SPAN,
  );
  assert.deepEqual(told(lines), ["1 s1 s3 down", "30 s1 s3 up", "40 s4 s3 down"]);
  assert.deepEqual(
    lines.map(({ alsoSeenBy }) => alsoSeenBy),
    [["s2"], ["s2"], []],
  );
});

test("buildTimeline shows what loops planned, and nothing of another time", () => {
  const act = { loop: "edge", do: "reload", because: "a new certificate", times: 3 };
  const own = asked("s1", 1000, [
    entry("s1", -5000, "before"),
    entry("s1", 5000, "within"),
    entry("s1", 7_200_000, "after"),
  ]);
  own.evidence.acts = [
    { ...act, atMs: NOW_MS - 60_000, lastMs: NOW_MS + 10_000 },
    { ...act, do: "old", atMs: NOW_MS - 60_000, lastMs: NOW_MS - 50_000 },
  ];
  const lines = buildTimeline([own], [], SPAN);
  assert.deepEqual(told(lines), ["-61 s1 reload", "4 s1 within"]);
  assert.equal(lines[0]?.times, 3);
});
