import assert from "node:assert/strict";
import { test } from "node:test";
import { dueLeaves, leafWarnings, type OwnLeaf } from "./leaf-renewal.ts";

const DAY_MS = 86_400_000;
const LIFE_DAYS = 730;
const leaf: OwnLeaf = { leaf: "edge", notBefore: 0, notAfter: LIFE_DAYS * DAY_MS };

test("leaves are due after half of their life, within 30 days, each member on its own day", () => {
  const ids = Array.from({ length: 200 }, (_, index) => `s${index}.test`);
  const dueOn = (day: number) => ids.filter((id) => dueLeaves([leaf], id, day * DAY_MS).length > 0);
  assert.deepEqual(dueOn(LIFE_DAYS / 2 - 1), []);
  assert.deepEqual(dueOn(LIFE_DAYS / 2 + 30), ids);
  let before = 0;
  for (let day = LIFE_DAYS / 2; day <= LIFE_DAYS / 2 + 30; day += 1) {
    const now = dueOn(day).length;
    assert.ok(now - before < ids.length / 5, `${now - before} of ${ids.length} on day ${day}`);
    before = now;
  }
});

test("only those that are due are named", () => {
  const fresh: OwnLeaf = { leaf: "etcd", notBefore: 500 * DAY_MS, notAfter: 1230 * DAY_MS };
  assert.deepEqual(dueLeaves([leaf, fresh], "s1.test", 600 * DAY_MS), ["edge"]);
});

test("leafWarnings warns of a leaf whose renewal is a week overdue, with the reason", () => {
  const warnings = (day: number) =>
    leafWarnings([leaf], "s1.test", day * DAY_MS, "no server signs");
  const days = Array.from({ length: LIFE_DAYS }, (_, day) => day);
  const due = days.find((day) => dueLeaves([leaf], "s1.test", day * DAY_MS).length > 0) ?? 0;
  assert.deepEqual(warnings(due + 6), []);
  assert.deepEqual(warnings(due + 8), [
    "its edge certificate for the cluster should have been renewed, and ends at 1972-01-01T00:00:00.000Z: no server signs",
  ]);
});
