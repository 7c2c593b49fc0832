import assert from "node:assert/strict";
import { test } from "node:test";
import { failoverGroups } from "./failover.ts";

test("failoverGroups make as many trials as the goals ask for", () => {
  const full = Object.fromEntries(failoverGroups().map(({ name, trials }) => [name, trials.full]));
  assert.ok((full["compile-kills"] ?? 0) >= 20);
  assert.ok((full["power-cut-runs"] ?? 0) >= 5);
  assert.ok((full["edge-cost"] ?? 0) >= 20);
});
