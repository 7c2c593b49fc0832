import assert from "node:assert/strict";
import { test } from "node:test";
import { CaOutcome } from "../setup/contract.ts";
import { changeMs, exitCodeOf, renderOutcome } from "./ca.ts";

const done = { name: "a.test", ok: true, because: "", serial: "0000000C" };
const failed = { name: "b.test", ok: false, because: "there is no such certificate" };
const missing = { confirmed: ["s1"], missing: [{ member: "s2", because: "no answer" }] };

void test("renderOutcome names the servers that have the change, and says so when it is only one", () => {
  const of = (copies: number, names: string[]) =>
    renderOutcome({ results: [done], copies, of: names }, "signed")
      .split("\n")
      .at(-1);
  assert.equal(of(2, ["s1", "s2"]), "2 copies: s1, s2");
  assert.equal(of(2, ["s1", "s2", "s3"]), "2 copies at least, of s1, s2, s3");
  // It may be another server than the one that was asked.
  assert.match(of(1, ["s2"]) ?? "", /^1 copy: only s2 has the change on disk/);
  assert.match(of(1, []) ?? "", /^1 copy: only one server has/);
  const nothing = renderOutcome({ results: [failed], copies: 1, of: ["s1"] }, "revoked");
  assert.doesNotMatch(nothing, /copy/);
});

void test("exitCodeOf puts what isn't confirmed above what failed", () => {
  const code = (outcome: Partial<CaOutcome>) =>
    exitCodeOf({ results: [done], copies: 2, of: [], ...outcome });
  assert.equal(code({}), 0);
  assert.equal(code({ results: [done, failed] }), 1);
  assert.equal(code({ edges: missing }), 3);
  assert.equal(code({ results: [done, failed], edges: missing }), 3);
});

void test("changeMs grows with the names, so that thousands run into no deadline", () => {
  assert.ok(changeMs(1) < 90_000);
  // Two cores that run three servers sign fifteen times as many.
  assert.ok(changeMs(10_000) >= 10_000 * 100);
});
