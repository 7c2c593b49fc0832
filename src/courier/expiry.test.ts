import assert from "node:assert/strict";
import { test } from "node:test";
import { hear, type Hearing, planExpiry } from "./expiry.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TTL_MS = 7 * DAY_MS;
const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const AT = { nowMs: NOW_MS, ttlMs: TTL_MS };

function silentFor(ms: number, certname = "gone") {
  return { certname, lastMs: NOW_MS - ms };
}

void test("planExpiry takes nodes that were silent while others were heard, and none after an outage", () => {
  const here = silentFor(HOUR_MS, "here");
  const heard: Hearing = { sinceMs: NOW_MS - 30 * DAY_MS, lastMs: here.lastMs };
  const since = (ms: number): Hearing => ({ ...heard, sinceMs: NOW_MS - ms });
  const cases: [string, Parameters<typeof planExpiry>[0], Hearing, string[]][] = [
    ["gone", [here, silentFor(8 * DAY_MS)], heard, ["gone"]],
    ["not yet", [here, silentFor(TTL_MS)], heard, []],
    ["heard for less than that", [here, silentFor(8 * DAY_MS)], since(6 * DAY_MS), []],
    ["heard for just so long", [here, silentFor(8 * DAY_MS)], since(TTL_MS), []],
    ["nobody is heard", [silentFor(8 * DAY_MS)], { ...heard, lastMs: NOW_MS - 2 * DAY_MS }, []],
    ["never began", [here, silentFor(8 * DAY_MS)], hear(undefined, [here], AT), []],
  ];
  for (const [what, nodes, hearing, gone] of cases) {
    const plan = planExpiry(nodes, hearing, AT);
    assert.deepEqual(
      plan.map(({ certname }) => certname),
      gone,
      what,
    );
    // Facts of half an hour ago that are on their way would bring the node back.
    assert.ok(plan.every(({ producerMs }) => producerMs < NOW_MS - HOUR_MS / 2));
  }
});

void test("hear begins anew after an outage, and after a clock that leapt", () => {
  const before: Hearing = { sinceMs: 0, lastMs: NOW_MS - 8 * DAY_MS };
  const back = silentFor(HOUR_MS, "first");
  const after = hear(before, [back, silentFor(8 * DAY_MS)], AT);
  assert.deepEqual(after, { sinceMs: back.lastMs, lastMs: back.lastMs });
  assert.deepEqual(planExpiry([silentFor(8 * DAY_MS)], after, AT), []);
  // An evening without runs is none, nor are nodes that were deleted.
  const calm: Hearing = { sinceMs: 0, lastMs: NOW_MS - 20 * HOUR_MS };
  assert.equal(hear(calm, [back], AT).sinceMs, 0);
  assert.deepEqual(hear(calm, [], AT), calm);
  const short = { nowMs: NOW_MS, ttlMs: DAY_MS };
  assert.equal(hear(calm, [back], short).sinceMs, back.lastMs);
});
