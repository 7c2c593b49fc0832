// Two who change the settings at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { overTheirs } from "../src/wish.ts";

test("overTheirs keeps what others changed, and puts over it what was changed here", () => {
  const base = { voters: 3, isolatedEdge: "serve", names: ["a"], drills: { at: "02:00" } };
  const mine = { voters: 3, isolatedEdge: "refuse", names: ["a"], probe: true };
  const theirs = { voters: 5, isolatedEdge: "serve", names: ["a", "b"], drills: { at: "02:00" } };
  assert.deepEqual(overTheirs({ base, mine, theirs }), {
    voters: 5,
    isolatedEdge: "refuse",
    names: ["a", "b"],
    probe: true,
  });
  assert.deepEqual(overTheirs({ base, mine: base, theirs }), theirs);
});
