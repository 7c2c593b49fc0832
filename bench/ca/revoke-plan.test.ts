import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRevoked } from "./revoke-plan.ts";

test("parseRevoked reads a line for each revocation, and refuses what is none", () => {
  const one = { certname: "n1.lab.test", answeredMs: 12.5, refusedMs: 10 };
  assert.deepEqual(parseRevoked(`${JSON.stringify(one)}\n${JSON.stringify(one)}\n`), [one, one]);
  assert.deepEqual(parseRevoked(""), []);
  assert.throws(() => parseRevoked('{"certname":"n1"}\n'));
});
