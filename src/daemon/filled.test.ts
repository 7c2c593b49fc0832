import assert from "node:assert/strict";
import { test } from "node:test";
import { silentCourier } from "../cluster/courier-status.ts";
import { isFilled } from "./filled.ts";

test("isFilled believes a courier that runs and has found its PuppetDB level, and no other", () => {
  const runs = { ...silentCourier(""), runs: true };
  const level = { standing: "level", because: "" } as const;
  assert.equal(isFilled({ ...runs, sync: level }), true);
  assert.equal(isFilled({ ...runs, runs: false, sync: level }), false);
  assert.equal(isFilled({ ...runs, sync: { ...level, standing: "lacks" } }), false);
  assert.equal(isFilled({ ...runs, sync: { ...level, standing: "unknown" } }), false);
  assert.equal(isFilled(runs), false);
  assert.equal(isFilled(undefined), false);
});
