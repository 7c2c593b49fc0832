import assert from "node:assert/strict";
import { test } from "node:test";
import { RollMemory } from "./roll-memory.ts";
import type { Roll } from "./work.ts";

const ROLL: Roll = {
  key: "k",
  does: "upgrade",
  by: "ops",
  at: "",
  reason: "",
  ids: ["s1", "s2"],
  force: false,
  done: [],
  until: "",
  stop: false,
};

test("RollMemory counts from the first try to move addresses, and forgets with the server", () => {
  const memory = new RollMemory();
  memory.turnTo(ROLL);
  assert.deepEqual(memory.recall(130_000), { lackingMs: 0, movingMs: 0, refused: "" });
  memory.moves(130_000);
  memory.moves(140_000);
  memory.refused = "masked";
  memory.turnTo(ROLL);
  assert.deepEqual(memory.recall(150_000), { lackingMs: 0, movingMs: 20_000, refused: "masked" });
  memory.turnTo({ ...ROLL, done: [{ id: "s1", at: "", note: "" }] });
  assert.deepEqual(memory.recall(160_000), { lackingMs: 0, movingMs: 0, refused: "" });
});

test("RollMemory: one look at which nothing lacks ends the count, and one blip begins it anew", () => {
  const memory = new RollMemory();
  memory.turnTo(ROLL);
  memory.looked(true, 1000);
  memory.looked(true, 31_000);
  assert.equal(memory.recall(31_000).lackingMs, 30_000);
  memory.looked(false, 32_000);
  memory.looked(true, 90_000);
  assert.equal(memory.recall(90_000).lackingMs, 0);
  memory.turnTo(undefined);
  memory.turnTo(ROLL);
  memory.looked(true, 900_000);
  assert.equal(memory.recall(900_000).lackingMs, 0, "another one drove it meanwhile");
});
