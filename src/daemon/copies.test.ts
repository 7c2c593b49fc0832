import assert from "node:assert/strict";
import { test } from "node:test";
import { countCopies } from "./copies.ts";

void test("countCopies counts the voters and every server whose own copy has it, each once", () => {
  assert.deepEqual(countCopies(["s1"], ["s1"]), { copies: 1, of: ["s1"] });
  // Signed on a server that doesn't vote: the voter's disk and this one's.
  assert.deepEqual(countCopies(["s1"], ["s2"]), { copies: 2, of: ["s1", "s2"] });
  assert.deepEqual(countCopies(["s1"], ["s2", "s1"]), { copies: 2, of: ["s1", "s2"] });
  // etcd can't say who votes: only copies that were confirmed count.
  assert.deepEqual(countCopies([], ["s2"]), { copies: 1, of: ["s2"] });
  assert.deepEqual(countCopies([], []), { copies: 1, of: [] });
});

void test("countCopies trusts a majority of three voters and more", () => {
  const voters = ["s1", "s2", "s3"];
  assert.deepEqual(countCopies(voters, []), { copies: 2, of: voters });
});
