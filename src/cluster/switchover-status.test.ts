import assert from "node:assert/strict";
import { test } from "node:test";
import { switchoverNotes } from "./switchover-status.ts";

test("switchoverNotes tells of who still serves connections, once for both sides", () => {
  const kept = { addresses: ["10.0.0.10"], connections: 12, leftS: 840 };
  const members = [
    { member: { id: "s1" }, local: { switchovers: [{ ...kept, side: "old" as const }] } },
    { member: { id: "s2" }, local: { switchovers: [{ ...kept, side: "new" as const }] } },
    { member: { id: "s3" } },
  ];
  assert.deepEqual(switchoverNotes(members), [
    "s1 still serves 12 connections of 10.0.0.10 after a switchover, for 14m at most.",
  ]);
});
