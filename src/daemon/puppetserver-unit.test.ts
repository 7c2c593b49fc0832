import assert from "node:assert/strict";
import { test } from "node:test";
import type { Roll } from "../cluster/work.ts";
import { whyNotNow } from "./puppetserver-unit.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const ROLL: Roll = {
  key: "k",
  does: "restart",
  by: "ops",
  at: "",
  reason: "",
  ids: ["s1", "s2"],
  force: false,
  done: [],
  now: { id: "s1", step: "act", since: "", was: "old", note: "" },
  until: "2026-11-20T12:00:01Z",
  stop: false,
};
const now = (more: Partial<NonNullable<Roll["now"]>>) => ({
  ...ROLL,
  now: { id: "s1", step: "act" as const, since: "", was: "old", note: "", ...more },
});

test("whyNotNow lets a restart through only where the record is at exactly that", () => {
  const { now: _, ...between } = ROLL;
  const cases: [string, Roll | undefined, RegExp][] = [
    ["its turn", ROLL, /^$/],
    ["no roll", undefined, /no roll/],
    ["over", { ...ROLL, end: { how: "halted", at: "", because: "" } }, /no roll/],
    ["another roll", { ...ROLL, key: "k2" }, /another roll/],
    ["another server", now({ id: "s2" }), /at s2, not at s1/],
    ["between two", between, /at no server/],
    ["still drains", now({ step: "drain" }), /another step/],
    ["another start", now({ was: "new" }), /another step/],
    ["nobody drives", { ...ROLL, until: "2026-11-20T12:00:00Z" }, /nobody has driven/],
  ];
  for (const [what, roll, because] of cases) {
    const asked = { key: "k", was: "old", id: "s1", nowMs: NOW_MS };
    assert.match(whyNotNow(roll, asked), because, what);
  }
});
