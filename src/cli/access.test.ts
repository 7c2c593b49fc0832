import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { readAccessWish, renderAccess, renderRevoked } from "./access.ts";

test("readAccessWish takes a name, a role and a duration of one minute to 730 days", () => {
  const wish = readAccessWish("jane.doe", { role: "operator", valid: "730d" });
  assert.deepEqual(wish, { name: "jane.doe", role: "operator", validMs: 730 * 86_400_000 });
});

test("readAccessWish names what can't be", () => {
  for (const [name, role, valid, message] of [
    ["Jane", "viewer", "1d", /name "Jane"/],
    ["-x", "viewer", "1d", /name "-x"/],
    ["a", "root", "1d", /--role "root" is none of viewer, operator, admin/],
    ["a", "viewer", "731d", /--valid "731d".*730 days/],
    ["a", "viewer", "59s", /--valid "59s".*one minute/],
  ] as const) {
    assert.throws(
      () => readAccessWish(name, { role, valid }),
      (error) => isFault(error, "cli.option") && message.test(error.message),
    );
  }
});

test("renderAccess shows each token's role, end and last use", () => {
  const token = {
    name: "grafana",
    role: "viewer",
    createdAt: "2026-11-20T12:00:00.000Z",
    createdBy: "s1",
    expiresAt: "2027-02-18T12:00:00.000Z",
    expired: false,
  };
  const used = { ...token, name: "ops", expired: true, usedAt: "2026-11-29T09:00:00.000Z" };
  assert.equal(
    renderAccess([token, used]),
    `TOKEN    ROLE    ENDS        LAST USED       MADE AT
grafana  viewer  2027-02-18  -               s1, 2026-11-20
ops      viewer  expired     2026-11-29 09h  s1, 2026-11-20`,
  );
  assert.equal(renderAccess([]), "No tokens: understudy access create --help");
});

test("renderRevoked names members that may still let the token in", () => {
  assert.match(
    renderRevoked({ name: "a", confirmed: ["s1"], missing: [] }),
    /every member refuses/,
  );
  const missing = [{ member: "s2", because: "no answer in time" }];
  const text = renderRevoked({ name: "a", confirmed: ["s1"], missing });
  assert.match(text, /may still let it in:\n {2}s2: no answer in time\n/);
});
