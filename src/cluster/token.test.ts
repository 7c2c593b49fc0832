import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { Role } from "./schema.ts";
import { decideToken, makeToken, parseToken, renderToken, WRONG_SECRETS_MAX } from "./token.ts";

const made = makeToken({
  role: "server",
  caHash: "a".repeat(43),
  createdBy: "s1.lab.test",
  nowMs: 1000,
  validMs: 3_600_000,
});
const use = { secret: made.token.secret, keyHash: "k1", role: "server" as Role, nowMs: 2000 };

test("parseToken reads what renderToken wrote", () => {
  assert.deepEqual(parseToken(` ${renderToken(made.token)}\n`), made.token);
});

test("parseToken refuses other text without repeating it", () => {
  for (const text of [
    "",
    "U1",
    "U2.s.0.a.b",
    renderToken(made.token).slice(0, -1),
    "U1.x.".padEnd(120, "a"),
  ]) {
    assert.throws(
      () => parseToken(text),
      (error) =>
        isFault(error, "token.malformed") && (text.length < 9 || !error.message.includes(text)),
    );
  }
});

test("decideToken decides by secret, role, binding and expiry", () => {
  const { record } = made;
  const bound = { ...record, boundTo: "k1", member: "s2" };
  const cases: [string, Parameters<typeof decideToken>[0], Partial<typeof use>, string][] = [
    ["first use", record, {}, "bind"],
    ["no such token", undefined, {}, "token.unknown"],
    ["wrong secret", record, { secret: "x" }, "token.wrong-secret"],
    ["burned", { ...record, wrongSecrets: WRONG_SECRETS_MAX }, {}, "token.burned"],
    ["expired", record, { nowMs: 3_601_000 }, "token.expired"],
    ["the same key again", bound, {}, "resume"],
    ["the same key after expiry", bound, { nowMs: 9_000_000 }, "resume"],
    ["another key", bound, { keyHash: "k2" }, "token.used"],
  ];
  for (const [name, token, more, expected] of cases) {
    const verdict = decideToken(token, { ...use, ...more });
    assert.equal(verdict.do === "refuse" ? verdict.code : verdict.do, expected, name);
  }
  const other = decideToken(record, { ...use, role: "compiler" });
  assert.equal(other.do === "refuse" && other.code, "token.role");
});
