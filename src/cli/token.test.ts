import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { readTokenWish } from "./token.ts";

test("readTokenWish takes a role and a duration of one minute to 30 days", () => {
  const wish = readTokenWish({ role: "compiler", expires: "30d" });
  assert.deepEqual(wish, { role: "compiler", validMs: 30 * 86_400_000 });
  assert.equal(readTokenWish({ role: "server", expires: "1m" }).validMs, 60_000);
});

test("readTokenWish names the option that can't be", () => {
  const refusal = (options: { role: string; expires: string }, message: RegExp) =>
    assert.throws(
      () => readTokenWish(options),
      (error) => isFault(error, "cli.option") && message.test(error.message),
    );
  refusal({ role: "serber", expires: "1h" }, /--role "serber"/);
  refusal({ role: "server", expires: "40d" }, /--expires "40d".*30 days/);
  refusal({ role: "server", expires: "59s" }, /--expires "59s".*one minute/);
});
